#include "textflag.h"

// Offsets of type probe; a row of the table takes 384 words, 192 are read.
#define ROW(i) (8*(i))(SI)
#define SIGN(i) (64+8*(i))(SI)
#define MASK(i) (128+8*(i))(SI)
#define ROWBYTES (384*8)
#define TURNBYTES (192*8)

// The number of bits in each half byte.
DATA nibbles<>+0(SB)/8, $0x0302020102010100
DATA nibbles<>+8(SB)/8, $0x0403030203020201
DATA nibbles<>+16(SB)/8, $0x0302020102010100
DATA nibbles<>+24(SB)/8, $0x0403030203020201
GLOBL nibbles<>(SB), RODATA|NOPTR, $32

// Y14 is nibbles, Y15 0x0f in each byte. Adds the bits of each byte of a to sum;
// a and b are used up.
#define COUNT(a, b, sum) \
	VPSRLW $4, a, b \
	VPAND Y15, a, a \
	VPAND Y15, b, b \
	VPSHUFB a, Y14, a \
	VPSHUFB b, Y14, b \
	VPADDB a, sum, sum \
	VPADDB b, sum, sum

#define CONSTANTS \
	VMOVDQU nibbles<>(SB), Y14 \
	MOVL $0x0f0f0f0f, AX \
	VMOVD AX, X15 \
	VPBROADCASTD X15, Y15

#define PATCH(row, sign, mask) \
	VPXOR (row)(BX*1), sign, Y8 \
	VPAND mask, Y8, Y8 \
	COUNT(Y8, Y9, Y10)

// The same with sign and mask read from memory.
#define FARPATCH(row, i) \
	VPBROADCASTQ SIGN(i), Y8 \
	VPBROADCASTQ MASK(i), Y9 \
	VPXOR (row)(BX*1), Y8, Y8 \
	VPAND Y9, Y8, Y8 \
	COUNT(Y8, Y9, Y10)

// func fewestAVX2(p *probe, shifts int, limit uint64) uint32
//
// Counts are below 2³²: 32-bit comparisons of the lower halves do.
TEXT ·fewestAVX2(SB), NOSPLIT, $0-28
	MOVQ p+0(FP), SI
	MOVQ shifts+8(FP), CX
	MOVQ limit+16(FP), AX
	INCQ AX
	VMOVQ AX, X13
	VPBROADCASTQ X13, Y13
	CONSTANTS
	MOVQ ROW(0), R8
	MOVQ ROW(1), R9
	MOVQ ROW(2), R10
	MOVQ ROW(3), R11
	MOVQ ROW(4), R12
	MOVQ ROW(5), R13
	MOVQ ROW(6), AX
	MOVQ ROW(7), DX
	VPBROADCASTQ SIGN(0), Y0
	VPBROADCASTQ SIGN(1), Y1
	VPBROADCASTQ SIGN(2), Y2
	VPBROADCASTQ SIGN(3), Y3
	VPBROADCASTQ MASK(0), Y4
	VPBROADCASTQ MASK(1), Y5
	VPBROADCASTQ MASK(2), Y6
	VPBROADCASTQ MASK(3), Y7
	VPCMPEQD Y12, Y12, Y12
shift:
	XORQ BX, BX
turn:
	VPXOR Y10, Y10, Y10
	PATCH(R8, Y0, Y4)
	PATCH(R9, Y1, Y5)
	PATCH(R10, Y2, Y6)
	PATCH(R11, Y3, Y7)
	VPXOR Y9, Y9, Y9
	VPSADBW Y9, Y10, Y11
	VPCMPGTD Y11, Y13, Y9
	VPTEST Y9, Y9
	JNE promising
next:
	ADDQ $32, BX
	CMPQ BX, $TURNBYTES
	JNE turn
	ADDQ $ROWBYTES, R8
	ADDQ $ROWBYTES, R9
	ADDQ $ROWBYTES, R10
	ADDQ $ROWBYTES, R11
	ADDQ $ROWBYTES, R12
	ADDQ $ROWBYTES, R13
	ADDQ $ROWBYTES, AX
	ADDQ $ROWBYTES, DX
	DECQ CX
	JNE shift
	VEXTRACTI128 $1, Y12, X8
	VPMINUD X8, X12, X12
	VPSHUFD $0x4e, X12, X8
	VPMINUD X8, X12, X12
	VMOVD X12, AX
	VZEROUPPER
	MOVL AX, ret+24(FP)
	RET
promising:
	FARPATCH(R12, 4)
	FARPATCH(R13, 5)
	FARPATCH(AX, 6)
	FARPATCH(DX, 7)
	VPXOR Y8, Y8, Y8
	VPSADBW Y8, Y10, Y10
	// All ones where the first patches exceed the limit.
	VPCMPGTD Y11, Y13, Y9
	VPCMPEQD Y8, Y9, Y9
	VPOR Y9, Y10, Y10
	VPMINUD Y10, Y12, Y12
	JMP next

// One word of a ring at four shifts: common to Y10, differing to Y11.
#define RINGWORD(i, half) \
	VPBROADCASTQ (16*(i))(DX), Y0 \
	VPBROADCASTQ (16*(i)+8)(DX), Y1 \
	VPAND (128*(i)+64+half)(SI), Y1, Y1 \
	VPXOR (128*(i)+half)(SI), Y0, Y0 \
	VPAND Y1, Y0, Y0 \
	COUNT(Y1, Y2, Y10) \
	COUNT(Y0, Y2, Y11)

// A ring's three words at four shifts; a byte holds at most 24.
#define RING(half, common, differ) \
	VPXOR Y10, Y10, Y10 \
	VPXOR Y11, Y11, Y11 \
	RINGWORD(0, half) \
	RINGWORD(1, half) \
	RINGWORD(2, half) \
	VPSADBW Y13, Y10, Y10 \
	VPSADBW Y13, Y11, Y11 \
	VPADDQ Y10, common, common \
	VPADDQ Y11, differ, differ

// func tallyAVX2(acc *[16]uint64, query, ref *uint64, rings int)
TEXT ·tallyAVX2(SB), NOSPLIT, $0-32
	MOVQ acc+0(FP), DI
	MOVQ query+8(FP), SI
	MOVQ ref+16(FP), DX
	MOVQ rings+24(FP), CX
	CONSTANTS
	VPXOR Y13, Y13, Y13
	VPXOR Y4, Y4, Y4
	VPXOR Y5, Y5, Y5
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7
	TESTQ CX, CX
	JEQ done
ring:
	RING(0, Y4, Y6)
	RING(32, Y5, Y7)
	ADDQ $48, DX
	ADDQ $384, SI
	DECQ CX
	JNE ring
done:
	VMOVDQU Y4, 0(DI)
	VMOVDQU Y5, 32(DI)
	VMOVDQU Y6, 64(DI)
	VMOVDQU Y7, 96(DI)
	VZEROUPPER
	RET
