#include "textflag.h"

// Of type probe each word has 88 lags of 8 bytes, first all words of out, then of low.
#define LAGBYTES 704

// One word at eight lags: adds the samples that stand out in both to Z20, those
// that lie on different sides to Z21. $0x28 is the truth table of (A^B)&C; A is
// the destination.
#define WORD(i, out, low) \
	VPANDQ 704*i(SI)(BX*1), out, Z16 \
	VMOVDQU64 3520+704*i(SI)(BX*1), Z17 \
	VPTERNLOGQ $0x28, Z16, low, Z17 \
	VPOPCNTQ Z16, Z16 \
	VPOPCNTQ Z17, Z17 \
	VPADDQ Z16, Z20, Z20 \
	VPADDQ Z17, Z21, Z21

// func bestAVX512(p *probe, other *ternary, inverseRoot *[321]float64) float64
TEXT ·bestAVX512(SB), NOSPLIT, $0-32
	MOVQ p+0(FP), SI
	MOVQ other+8(FP), DX
	MOVQ inverseRoot+16(FP), DI
	VPBROADCASTQ 0(DX), Z0
	VPBROADCASTQ 8(DX), Z1
	VPBROADCASTQ 16(DX), Z2
	VPBROADCASTQ 24(DX), Z3
	VPBROADCASTQ 32(DX), Z4
	VPBROADCASTQ 40(DX), Z5
	VPBROADCASTQ 48(DX), Z6
	VPBROADCASTQ 56(DX), Z7
	VPBROADCASTQ 64(DX), Z8
	VPBROADCASTQ 72(DX), Z9
	VPXORQ Z19, Z19, Z19 // the best
	VPXORQ Z23, Z23, Z23
	XORQ BX, BX
eight:
	VPXORQ Z20, Z20, Z20
	VPXORQ Z21, Z21, Z21
	WORD(0, Z0, Z5)
	WORD(1, Z1, Z6)
	WORD(2, Z2, Z7)
	WORD(3, Z3, Z8)
	WORD(4, Z4, Z9)
	KXNORW K1, K1, K1
	VGATHERQPD (DI)(Z20*8), K1, Z23
	VPADDQ Z21, Z21, Z21
	VPSUBQ Z21, Z20, Z20
	VCVTQQ2PD Z20, Z22
	VMULPD Z23, Z22, Z22
	VMAXPD Z22, Z19, Z19
	ADDQ $64, BX
	CMPQ BX, $LAGBYTES
	JNE eight
	VEXTRACTF64X4 $1, Z19, Y16
	VMAXPD Y16, Y19, Y19
	VEXTRACTF64X2 $1, Y19, X16
	VMAXPD X16, X19, X19
	VPERMILPD $1, X19, X16
	VMAXPD X16, X19, X19
	VMOVQ X19, AX
	VZEROUPPER
	MOVQ AX, ret+24(FP)
	RET
