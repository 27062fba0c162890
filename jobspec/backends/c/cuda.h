// The names that rendered code uses, in CUDA C++. Each is one primitive of the contract with its exact bits: the
// operations that name their rounding are never contracted, whatever the compiler is told; it is also told
// --fmad=false --prec-div=true --prec-sqrt=true --ftz=false (backends/cuda/nvrtc.py).
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
#define KERNEL extern "C" __global__ void
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
