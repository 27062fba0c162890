// The names that rendered code uses, in CUDA C++. Each is one primitive of the contract with its exact bits: the
// operations that name their rounding are never contracted, whatever the compiler is told; it is also told
// --fmad=false --prec-div=true --prec-sqrt=true --ftz=false (backends/cuda/nvrtc.py).
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
#define KERNEL extern "C" __global__ void
// So many work-items of a group, or more than 65,536 / items registers might be given to each, and no group could start.
#define BOUND(items) __launch_bounds__(items)
#define GLOBAL
#define LOCAL __shared__ __align__(16)
#define ROLLED _Pragma("unroll 1")
#define UNROLLED _Pragma("unroll")
#define SYNC __syncthreads()
#define GROUP ((long)blockIdx.x)
#define ITEM ((int)threadIdx.x)
#define f_add(a, b) __fadd_rn(a, b)
#define f_link(acc, x) __fadd_rn(acc, x)
#define f_sub(a, b) __fsub_rn(a, b)
#define f_mul(a, b) __fmul_rn(a, b)
#define f_fma(a, b, c) __fmaf_rn(a, b, c)
#define f_div(a, b) __fdiv_rn(a, b)
#define f_sqrt(a) __fsqrt_rn(a)
#define f_floor(a) floorf(a)
#define f_rint(a) rintf(a)
#define to_bits(a) __float_as_uint(a)
#define to_float(a) __uint_as_float(a)
#define u_mulhi(a, b) __umulhi((uint)(a), (uint)(b))
#define int_to_f(a) __int2float_rn(a)
#define uint_to_f(a) __uint2float_rn(a)
#define f_canonical(a) ((to_bits(a) & 0x7fffffffu) > 0x7f800000u ? to_float(0x7fc00000u) : (a))
static __device__ __forceinline__ int f_to_int(float x) {
  const int inside = (int)(x >= -2147483648.0f && x < 2147483648.0f ? x : 0.0f);
  return x >= 2147483648.0f ? 2147483647 : x < -2147483648.0f ? (-2147483647 - 1) : inside;
}
// 32 work-items together: 16 × 16 of bfloat16 by 16 × 8, two in a word, added to their four sums each. The order of the
// sums is the device's own: in the profile jobspec.fast.v1 alone (docs/numerics.md 5.10).
static __device__ __forceinline__ void f_matrices(float& s0, float& s1, float& s2, float& s3, uint a0, uint a1, uint a2,
                                                  uint a3, uint b0, uint b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(s0), "+f"(s1), "+f"(s2), "+f"(s3)
               : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
