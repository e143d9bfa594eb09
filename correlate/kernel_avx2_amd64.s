#include "textflag.h"

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

// The next of a code's spots in half a column: 8 × its index beyond SI.
#define SPOT(i, y) \
	MOVWLZX (2*(i))(DX), AX \
	VMOVDQU (SI)(AX*8), y

// Adds a and b to sum at each place and leaves the carry in a.
#define ADD(sum, a, b) \
	VPXOR a, b, Y15 \
	VPAND a, b, a \
	VPAND Y15, sum, b \
	VPXOR Y15, sum, sum \
	VPOR b, a, a

#define CARRY(sum, a, t) \
	VPAND a, sum, t \
	VPXOR a, sum, sum

#define STORE(p, y) VMOVDQU y, (64*(p))(DI)

// func voteAVX2(v *votes, column *uint64, spots *[256]uint16)
TEXT ·voteAVX2(SB), NOSPLIT, $0-24
	MOVQ v+0(FP), DI
	MOVQ column+8(FP), SI
	MOVL $2, BX
half:
	MOVQ spots+16(FP), DX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4
	VPXOR Y5, Y5, Y5
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7
	VPXOR Y8, Y8, Y8
	MOVL $16, CX
sixteen:
	SPOT(0, Y9)
	SPOT(1, Y10)
	ADD(Y0, Y9, Y10)
	SPOT(2, Y10)
	SPOT(3, Y11)
	ADD(Y0, Y10, Y11)
	ADD(Y1, Y9, Y10)
	SPOT(4, Y10)
	SPOT(5, Y11)
	ADD(Y0, Y10, Y11)
	SPOT(6, Y11)
	SPOT(7, Y12)
	ADD(Y0, Y11, Y12)
	ADD(Y1, Y10, Y11)
	ADD(Y2, Y9, Y10)
	SPOT(8, Y10)
	SPOT(9, Y11)
	ADD(Y0, Y10, Y11)
	SPOT(10, Y11)
	SPOT(11, Y12)
	ADD(Y0, Y11, Y12)
	ADD(Y1, Y10, Y11)
	SPOT(12, Y11)
	SPOT(13, Y12)
	ADD(Y0, Y11, Y12)
	SPOT(14, Y12)
	SPOT(15, Y13)
	ADD(Y0, Y12, Y13)
	ADD(Y1, Y11, Y12)
	ADD(Y2, Y10, Y11)
	ADD(Y3, Y9, Y10)
	CARRY(Y4, Y9, Y10)
	CARRY(Y5, Y10, Y9)
	CARRY(Y6, Y9, Y10)
	CARRY(Y7, Y10, Y9)
	VPXOR Y9, Y8, Y8
	ADDQ $32, DX
	DECL CX
	JEQ done
	CMPL CX, $8
	JNE sixteen
	// Half way: 255 less the peaks that agree.
	VPCMPEQD Y15, Y15, Y15
	VPXOR Y15, Y0, Y0
	VPXOR Y15, Y1, Y1
	VPXOR Y15, Y2, Y2
	VPXOR Y15, Y3, Y3
	VPXOR Y15, Y4, Y4
	VPXOR Y15, Y5, Y5
	VPXOR Y15, Y6, Y6
	VPXOR Y15, Y7, Y7
	JMP sixteen
done:
	STORE(0, Y0)
	STORE(1, Y1)
	STORE(2, Y2)
	STORE(3, Y3)
	STORE(4, Y4)
	STORE(5, Y5)
	STORE(6, Y6)
	STORE(7, Y7)
	STORE(8, Y8)
	ADDQ $32, DI
	ADDQ $32, SI
	DECL BX
	JNE half
	VZEROUPPER
	RET

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

// The sum of eight words of y, to out.
#define TOTAL(y, x, out) \
	VEXTRACTI128 $1, y, X13 \
	VPADDD X13, x, x \
	VPSHUFD $0x4e, x, X13 \
	VPADDD X13, x, x \
	VPSHUFD $0xb1, x, X13 \
	VPADDD X13, x, x \
	VMOVD x, out

// Eight marks at off beyond DX. The gather reads three bytes beyond the raster's
// points. What is missing counts −1 in Y0.
#define EIGHT(off) \
	VMOVDQU off(DX), Y8 \
	VMOVDQU (off+32)(DX), Y9 \
	VSHUFPS $0x88, Y9, Y8, Y10 \
	VSHUFPS $0xdd, Y9, Y8, Y11 \
	VPMADDWD Y4, Y10, Y8 \
	VPADDD Y6, Y8, Y8 \
	VPSRLD $14, Y8, Y8 \
	VPMADDWD Y5, Y10, Y9 \
	VPADDD Y7, Y9, Y9 \
	VPSRLD $14, Y9, Y9 \
	VPCMPGTD Y8, Y14, Y10 \
	VPCMPGTD Y9, Y14, Y12 \
	VPAND Y10, Y12, Y12 \
	VPAND Y12, Y9, Y9 \
	VPMADDWD Y14, Y9, Y9 \
	VPADDD Y8, Y9, Y9 \
	VPXOR Y10, Y10, Y10 \
	VPGATHERDD Y12, (SI)(Y9*1), Y10 \
	VPSLLD $24, Y10, Y10 \
	VPSRAD $24, Y10, Y10 \
	VPXOR Y8, Y8, Y8 \
	VPCMPEQD Y8, Y10, Y8 \
	VPADDD Y8, Y0, Y0 \
	VPANDN Y11, Y8, Y11 \
	VPAND Y15, Y10, Y10 \
	VPMADDWD Y11, Y11, Y8 \
	VPADDD Y8, Y1, Y1 \
	VPMADDWD Y10, Y10, Y8 \
	VPADDD Y8, Y2, Y2 \
	VPMADDWD Y11, Y10, Y8 \
	VPADDD Y8, Y3, Y3

// func agreeAVX2(sums *[4]int32, query *raster, marks *mark, n int, at *placing)
//
// A mark is 8 bytes: x, y, v, 0. placing is (cos, −sin), (sin, cos) and tx, ty.
TEXT ·agreeAVX2(SB), NOSPLIT, $0-40
	MOVQ sums+0(FP), DI
	MOVQ query+8(FP), SI
	MOVQ marks+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ at+32(FP), R8
	VPBROADCASTD 0(R8), Y4
	VPBROADCASTD 4(R8), Y5
	VPBROADCASTD 8(R8), Y6
	VPBROADCASTD 12(R8), Y7
	VPXOR Y0, Y0, Y0 // less what is missing
	VPXOR Y1, Y1, Y1 // aa
	VPXOR Y2, Y2, Y2 // bb
	VPXOR Y3, Y3, Y3 // ab
	MOVL $280, AX
	VMOVD AX, X14
	VPBROADCASTD X14, Y14
	MOVL $0xffff, AX
	VMOVD AX, X15
	VPBROADCASTD X15, Y15
	MOVQ CX, R10
	SHRQ $4, CX
	JEQ done
sixteen:
	EIGHT(0)
	EIGHT(64)
	ADDQ $128, DX
	DECQ CX
	JNE sixteen
done:
	TOTAL(Y0, X0, AX)
	ADDL R10, AX
	MOVL AX, 0(DI)
	TOTAL(Y1, X1, 4(DI))
	TOTAL(Y2, X2, 8(DI))
	TOTAL(Y3, X3, 12(DI))
	VZEROUPPER
	RET
