#include "textflag.h"

// Of type probe each word has 88 lags of 8 bytes, first all words of out, then of
// low; 84 are read.
#define READBYTES 672

// The number of bits in each half byte.
DATA nibbles<>+0(SB)/8, $0x0302020102010100
DATA nibbles<>+8(SB)/8, $0x0403030203020201
DATA nibbles<>+16(SB)/8, $0x0302020102010100
DATA nibbles<>+24(SB)/8, $0x0403030203020201
GLOBL nibbles<>(SB), RODATA|NOPTR, $32

// Where the low halves of four words of 64 bits lie.
DATA lower<>+0(SB)/8, $0x0000000200000000
DATA lower<>+8(SB)/8, $0x0000000600000004
DATA lower<>+16(SB)/8, $0x0000000200000000
DATA lower<>+24(SB)/8, $0x0000000600000004
GLOBL lower<>(SB), RODATA|NOPTR, $32

// Y14 is nibbles, Y15 0x0f in each byte. Adds the bits of each byte of a to sum,
// at most 40; a and b are used up.
#define COUNT(a, b, sum) \
	VPSRLW $4, a, b \
	VPAND Y15, a, a \
	VPAND Y15, b, b \
	VPSHUFB a, Y14, a \
	VPSHUFB b, Y14, b \
	VPADDB a, sum, sum \
	VPADDB b, sum, sum

// One word at four lags: adds the samples that stand out in both to Y10, those
// that lie on different sides to Y11.
#define WORD(i, out) \
	VPBROADCASTQ 40+8*i(DX), Y7 \
	VPAND 704*i(SI)(BX*1), out, Y6 \
	VPXOR 3520+704*i(SI)(BX*1), Y7, Y7 \
	VPAND Y6, Y7, Y7 \
	COUNT(Y6, Y8, Y10) \
	COUNT(Y7, Y9, Y11)

// func bestAVX2(p *probe, other *ternary, inverseRoot *[321]float64) float64
TEXT ·bestAVX2(SB), NOSPLIT, $0-32
	MOVQ p+0(FP), SI
	MOVQ other+8(FP), DX
	MOVQ inverseRoot+16(FP), DI
	VMOVDQU nibbles<>(SB), Y14
	MOVL $0x0f0f0f0f, AX
	VMOVD AX, X15
	VPBROADCASTD X15, Y15
	VPBROADCASTQ 0(DX), Y0
	VPBROADCASTQ 8(DX), Y1
	VPBROADCASTQ 16(DX), Y2
	VPBROADCASTQ 24(DX), Y3
	VPBROADCASTQ 32(DX), Y4
	VPXOR Y13, Y13, Y13 // the best
	VPXOR Y12, Y12, Y12
	XORQ BX, BX
four:
	VPXOR Y10, Y10, Y10
	VPXOR Y11, Y11, Y11
	WORD(0, Y0)
	WORD(1, Y1)
	WORD(2, Y2)
	WORD(3, Y3)
	WORD(4, Y4)
	VPSADBW Y12, Y10, Y10
	VPSADBW Y12, Y11, Y11
	VPCMPEQD Y9, Y9, Y9
	VGATHERQPD Y9, (DI)(Y10*8), Y8
	VPADDQ Y11, Y11, Y11
	VPSUBQ Y11, Y10, Y10
	VMOVDQU lower<>(SB), Y7
	VPERMD Y10, Y7, Y10
	VCVTDQ2PD X10, Y10
	VMULPD Y8, Y10, Y10
	VMAXPD Y10, Y13, Y13
	ADDQ $32, BX
	CMPQ BX, $READBYTES
	JNE four
	VEXTRACTF128 $1, Y13, X10
	VMAXPD X10, X13, X13
	VPERMILPD $1, X13, X10
	VMAXPD X10, X13, X13
	VMOVQ X13, AX
	VZEROUPPER
	MOVQ AX, ret+24(FP)
	RET

// The sum of y's eight words, to out.
#define TOTAL(y, x, out) \
	VEXTRACTI128 $1, y, X15 \
	VPADDD X15, x, x \
	VPSHUFD $0x4e, x, X15 \
	VPADDD X15, x, x \
	VPSHUFD $0xb1, x, X15 \
	VPADDD X15, x, x \
	VMOVD x, out

// func dotsAVX2(out *[84]int32, a, b *int16, sixteens, fours int)
//
// Four lags at a time, sixteen samples of a against those of b at each.
TEXT ·dotsAVX2(SB), NOSPLIT, $0-40
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ sixteens+24(FP), CX
	SHLQ $5, CX
	MOVQ fours+32(FP), R8
lag:
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	XORQ BX, BX
samples:
	VMOVDQU (SI)(BX*1), Y4
	VPMADDWD 0(DX)(BX*1), Y4, Y5
	VPMADDWD 2(DX)(BX*1), Y4, Y6
	VPMADDWD 4(DX)(BX*1), Y4, Y7
	VPMADDWD 6(DX)(BX*1), Y4, Y8
	VPADDD Y5, Y0, Y0
	VPADDD Y6, Y1, Y1
	VPADDD Y7, Y2, Y2
	VPADDD Y8, Y3, Y3
	ADDQ $32, BX
	CMPQ BX, CX
	JLT samples
	TOTAL(Y0, X0, 0(DI))
	TOTAL(Y1, X1, 4(DI))
	TOTAL(Y2, X2, 8(DI))
	TOTAL(Y3, X3, 12(DI))
	ADDQ $16, DI
	ADDQ $8, DX
	DECQ R8
	JNE lag
	VZEROUPPER
	RET
