package node

import (
	"fmt"
	"time"

	"proofmark/node/dispatch"
)

// Approval says how long a document waits that two people must approve.
type Approval struct {
	Days int `toml:"days,omitempty" default:"14" comment:"days after which a document that two people must approve lapses; 14 unless another number stands here"`
}

// longestWait bounds the days of a wait: what waits longer than a year is forgotten, not considered.
const longestWait = 365

// approvalTime is how long a document waits for its approvals, checked.
func (c Config) approvalTime() (time.Duration, error) {
	days := c.Approval.Days
	if days < 0 || days > longestWait {
		return 0, fmt.Errorf("approval.days: 1 to %d days, not %d", longestWait, days)
	}
	if days == 0 {
		days = dispatch.ApprovalDays
	}
	return time.Duration(days) * 24 * time.Hour, nil
}

// examineApproval says what is configured, because nobody is asked when it is used.
func examineApproval(c Config) Finding {
	wait, err := c.approvalTime()
	if err != nil {
		return Finding{"approvals", Bad, err.Error(), "Mend " + configFile + "."}
	}
	return Finding{"approvals", Good, fmt.Sprintf("What two people must approve lapses after %d days.", int(wait/(24*time.Hour))), ""}
}
