#include "textflag.h"

// The next of a code's spots in a column: 8 × its index beyond SI.
#define SPOT(i, z) \
	MOVWLZX (2*(i))(DX), AX \
	VMOVDQU64 (SI)(AX*8), z

// Adds a and b to sum at each place and leaves the carry in a. $0x96 is the truth
// table of A^B^C; $0xd4 that of the carry of A, B and what was added, told from the
// sum C: A where both agree, else what C is not.
#define ADD(sum, a, b) \
	VPTERNLOGQ $0x96, a, b, sum \
	VPTERNLOGQ $0xd4, sum, b, a

#define CARRY(sum, a, t) \
	VPANDQ a, sum, t \
	VPXORQ a, sum, sum

#define STORE(p, z) VMOVDQU64 z, (64*(p))(DI)

// func voteAVX512(v *votes, column *uint64, spots *[256]uint16)
TEXT ·voteAVX512(SB), NOSPLIT, $0-24
	MOVQ v+0(FP), DI
	MOVQ column+8(FP), SI
	MOVQ spots+16(FP), DX
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
	VPXORQ Z2, Z2, Z2
	VPXORQ Z3, Z3, Z3
	VPXORQ Z4, Z4, Z4
	VPXORQ Z5, Z5, Z5
	VPXORQ Z6, Z6, Z6
	VPXORQ Z7, Z7, Z7
	VPXORQ Z8, Z8, Z8
	MOVL $16, CX
sixteen:
	SPOT(0, Z9)
	SPOT(1, Z10)
	ADD(Z0, Z9, Z10)
	SPOT(2, Z10)
	SPOT(3, Z11)
	ADD(Z0, Z10, Z11)
	ADD(Z1, Z9, Z10)
	SPOT(4, Z10)
	SPOT(5, Z11)
	ADD(Z0, Z10, Z11)
	SPOT(6, Z11)
	SPOT(7, Z12)
	ADD(Z0, Z11, Z12)
	ADD(Z1, Z10, Z11)
	ADD(Z2, Z9, Z10)
	SPOT(8, Z10)
	SPOT(9, Z11)
	ADD(Z0, Z10, Z11)
	SPOT(10, Z11)
	SPOT(11, Z12)
	ADD(Z0, Z11, Z12)
	ADD(Z1, Z10, Z11)
	SPOT(12, Z11)
	SPOT(13, Z12)
	ADD(Z0, Z11, Z12)
	SPOT(14, Z12)
	SPOT(15, Z13)
	ADD(Z0, Z12, Z13)
	ADD(Z1, Z11, Z12)
	ADD(Z2, Z10, Z11)
	ADD(Z3, Z9, Z10)
	CARRY(Z4, Z9, Z10)
	CARRY(Z5, Z10, Z9)
	CARRY(Z6, Z9, Z10)
	CARRY(Z7, Z10, Z9)
	VPXORQ Z9, Z8, Z8
	ADDQ $32, DX
	DECL CX
	JEQ done
	CMPL CX, $8
	JNE sixteen
	// Half way: 255 less the peaks that agree.
	VPTERNLOGQ $0x0f, Z0, Z0, Z0
	VPTERNLOGQ $0x0f, Z1, Z1, Z1
	VPTERNLOGQ $0x0f, Z2, Z2, Z2
	VPTERNLOGQ $0x0f, Z3, Z3, Z3
	VPTERNLOGQ $0x0f, Z4, Z4, Z4
	VPTERNLOGQ $0x0f, Z5, Z5, Z5
	VPTERNLOGQ $0x0f, Z6, Z6, Z6
	VPTERNLOGQ $0x0f, Z7, Z7, Z7
	JMP sixteen
done:
	STORE(0, Z0)
	STORE(1, Z1)
	STORE(2, Z2)
	STORE(3, Z3)
	STORE(4, Z4)
	STORE(5, Z5)
	STORE(6, Z6)
	STORE(7, Z7)
	STORE(8, Z8)
	VZEROUPPER
	RET

// func tallyAVX512(acc *[16]uint64, query, ref *uint64, rings int)
//
// Of the query, each word of a ring takes 128 bytes: eight shifts' signs, eight
// shifts' masks; of the reference 16: sign, mask.
TEXT ·tallyAVX512(SB), NOSPLIT, $0-32
	MOVQ acc+0(FP), DI
	MOVQ query+8(FP), SI
	MOVQ ref+16(FP), DX
	MOVQ rings+24(FP), CX
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
	LEAQ (CX)(CX*2), CX
	TESTQ CX, CX
	JEQ done
word:
	VPBROADCASTQ (DX), Z2
	VPBROADCASTQ 8(DX), Z3
	VPANDQ 64(SI), Z3, Z3
	VPOPCNTQ Z3, Z4
	VPADDQ Z4, Z0, Z0
	VMOVDQU64 (SI), Z5
	VPTERNLOGQ $0x28, Z3, Z2, Z5
	VPOPCNTQ Z5, Z5
	VPADDQ Z5, Z1, Z1
	ADDQ $16, DX
	ADDQ $128, SI
	DECQ CX
	JNE word
done:
	VMOVDQU64 Z0, (DI)
	VMOVDQU64 Z1, 64(DI)
	VZEROUPPER
	RET

DATA even<>+0(SB)/8, $0x0000000200000000
DATA even<>+8(SB)/8, $0x0000000600000004
DATA even<>+16(SB)/8, $0x0000000a00000008
DATA even<>+24(SB)/8, $0x0000000e0000000c
DATA even<>+32(SB)/8, $0x0000001200000010
DATA even<>+40(SB)/8, $0x0000001600000014
DATA even<>+48(SB)/8, $0x0000001a00000018
DATA even<>+56(SB)/8, $0x0000001e0000001c
GLOBL even<>(SB), RODATA|NOPTR, $64

// The sum of Z's sixteen words, to out.
#define TOTAL(z, y, x, out) \
	VEXTRACTI64X4 $1, z, Y16 \
	VPADDD Y16, y, y \
	VEXTRACTI128 $1, y, X15 \
	VPADDD X15, x, x \
	VPSHUFD $0x4e, x, X15 \
	VPADDD X15, x, x \
	VPSHUFD $0xb1, x, X15 \
	VPADDD X15, x, x \
	VMOVD x, out

// func agreeAVX512(sums *[4]int32, query *raster, marks *mark, n int, at *placing)
//
// A mark is 8 bytes: x, y, v, 0. placing is (cos, −sin), (sin, cos) and tx, ty.
// Sixteen marks at once; the gather reads three bytes beyond the raster's points.
TEXT ·agreeAVX512(SB), NOSPLIT, $0-40
	MOVQ sums+0(FP), DI
	MOVQ query+8(FP), SI
	MOVQ marks+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ at+32(FP), R8
	VPBROADCASTD 0(R8), Z4
	VPBROADCASTD 4(R8), Z5
	VPBROADCASTD 8(R8), Z6
	VPBROADCASTD 12(R8), Z7
	XORL R10, R10 // n
	VPXORQ Z1, Z1, Z1 // aa
	VPXORQ Z2, Z2, Z2 // bb
	VPXORQ Z3, Z3, Z3 // ab
	MOVL $280, AX
	VPBROADCASTD AX, Z8
	MOVL $0xffff, AX
	VPBROADCASTD AX, Z9
	VMOVDQU32 even<>(SB), Z10
	VPTERNLOGQ $0xff, Z11, Z11, Z11
	VPSUBD Z11, Z10, Z11 // odd
	SHRQ $4, CX
	JEQ done
sixteen:
	VMOVDQU64 (DX), Z12
	VMOVDQU64 64(DX), Z13
	VMOVDQA64 Z10, Z14
	VPERMI2D Z13, Z12, Z14 // x, y
	VPERMT2D Z13, Z11, Z12 // v
	VPMADDWD Z4, Z14, Z15
	VPADDD Z6, Z15, Z15
	VPSRLD $14, Z15, Z15
	VPMADDWD Z5, Z14, Z16
	VPADDD Z7, Z16, Z16
	VPSRLD $14, Z16, Z16
	VPCMPUD $1, Z8, Z15, K1
	VPCMPUD $1, Z8, Z16, K1, K2
	VPMADDWD Z8, Z16, Z16
	VPADDD Z15, Z16, Z16
	VPXORQ Z17, Z17, Z17
	VPGATHERDD (SI)(Z16*1), K2, Z17
	VPSLLD $24, Z17, Z17
	VPSRAD $24, Z17, Z17
	VPTESTMD Z17, Z17, K3
	KMOVW K3, AX
	POPCNTL AX, AX
	ADDL AX, R10
	VMOVDQA32.Z Z12, K3, Z12
	VPANDD Z9, Z17, Z17
	VPMADDWD Z12, Z12, Z13
	VPADDD Z13, Z1, Z1
	VPMADDWD Z17, Z17, Z13
	VPADDD Z13, Z2, Z2
	VPMADDWD Z12, Z17, Z13
	VPADDD Z13, Z3, Z3
	ADDQ $128, DX
	DECQ CX
	JNE sixteen
done:
	MOVL R10, 0(DI)
	TOTAL(Z1, Y1, X1, 4(DI))
	TOTAL(Z2, Y2, X2, 8(DI))
	TOTAL(Z3, Y3, X3, 12(DI))
	VZEROUPPER
	RET
