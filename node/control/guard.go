package control

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Guard refuses a file or folder that another account could have put in place or can get at: it must belong to the account of this process or to root,
// and have none of the mode bits in forbidden. A symbolic link is followed: what counts is what it leads to.
func Guard(path string, forbidden os.FileMode) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Uid != 0 && int(sys.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another account (uid %d; this is uid %d): work as that account, or chown it", path, sys.Uid, os.Geteuid())
	}
	bad := st.Mode().Perm() & forbidden
	if bad == 0 {
		return nil
	}
	who := "group or others"
	if bad&0o070 == 0 {
		who = "others"
	} else if bad&0o007 == 0 {
		who = "its group"
	}
	can, remedy := "read", "chmod go-rwx"
	if bad&0o022 != 0 {
		can = "write"
		if forbidden&0o044 == 0 {
			remedy = "chmod go-w"
		}
	}
	return fmt.Errorf("%s can %s %s (mode %04o): %s %s", who, can, path, st.Mode().Perm(), remedy, path)
}

// guardSocket makes sure, before a secret or a token is sent, that the socket is one that this account or root has made.
func guardSocket(dir, path string) error {
	err := Guard(dir, 0o022)
	if err == nil {
		err = Guard(path, 0)
	}
	if err == nil || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return err
	}
	return fmt.Errorf("nothing was sent: the command socket may not be that of your node: %w", err)
}
