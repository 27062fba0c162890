// The names that rendered code uses, in CUDA C++. Each is one primitive of the contract with its exact bits: the
// operations that name their rounding are never contracted, whatever the compiler is told; it is also told
// --fmad=false --prec-div=true --prec-sqrt=true --ftz=false (backends/cuda/nvrtc.py).
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
static __device__ __forceinline__ int own_item() {
  const int own = (int)threadIdx.x;
  __builtin_assume(own >= 0);
  return own;
}
#define KERNEL extern "C" __global__ void
// So many work-items of a group, or more than 65,536 / items registers might be given to each, and no group could start.
#define BOUND(items) __launch_bounds__(items)
#define GLOBAL
#define LOCAL __shared__ __align__(16)
// Memory of a group whose size the launch says, and pointers into it.
#define GROUP_MEMORY(bytes) extern __shared__ __align__(1024) uchar group_memory[]
#define SHARED
// A distance of 2 GB and more. The assembler of NVRTC 13.0 for sm_120 ends in a segmentation fault on kernels in which a
// pointer is moved on from an address that is a parameter and such a number, so that number is no constant to it there.
#if __CUDA_ARCH__ >= 1200
static __device__ __forceinline__ long far_away(uint low, uint high) {
  long both;
  asm("mov.b64 %0, {%1, %2};" : "=l"(both) : "r"(low), "r"(high));
  return both;
}
#define FAR(place) far_away((uint)(place), (uint)((place) >> 32))
#else
#define FAR(place) (place)
#endif
#define ROLLED _Pragma("unroll 1")
#define UNROLLED _Pragma("unroll")
#define SYNC __syncthreads()
#define GROUP ((long)blockIdx.x)
#define ITEM own_item()
// One, two or four floats from memory into the group's own, on the side: they are there behind COPIED, for the others
// behind a SYNC after it.
#if __CUDA_ARCH__ >= 800
#define ASIDE(how, bytes)                                                                                           \
  static __device__ __forceinline__ void aside##bytes(float* into, const float* from) {                             \
    asm volatile("cp.async." how ".shared.global [%0], [%1], " #bytes ";" ::"r"((uint)__cvta_generic_to_shared(into)), \
                 "l"(__cvta_generic_to_global(from))                                                                 \
                 : "memory");                                                                                       \
  }
ASIDE("ca", 4)
ASIDE("ca", 8)
ASIDE("cg", 16)
#define COPY1(into, from) aside4(into, from)
#define COPY2(into, from) aside8(into, from)
#define COPY4(into, from) aside16(into, from)
#define COPIED asm volatile("cp.async.wait_all;" ::: "memory")
#else
#define COPY1(into, from) (*(into) = *(from))
#define COPY2(into, from) (*(float2*)(into) = *(const float2*)(from))
#define COPY4(into, from) (*(float4*)(into) = *(const float4*)(from))
#define COPIED
#endif
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
// Eight rows of eight numbers of bfloat16 from shared memory, four or two times, a row from each of 8 work-items in turn;
// a work-item gets two neighbours of a row, `turned` of a column.
#define TAKE4(name, how)                                                                                               \
  static __device__ __forceinline__ void name(uint& x0, uint& x1, uint& x2, uint& x3, const uint* from) {              \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4" how ".shared.b16 {%0, %1, %2, %3}, [%4];"                             \
                 : "=r"(x0), "=r"(x1), "=r"(x2), "=r"(x3)                                                              \
                 : "r"((uint)__cvta_generic_to_shared(from))                                                           \
                 : "memory");                                                                                          \
  }
#define TAKE2(name, how)                                                                                               \
  static __device__ __forceinline__ void name(uint& x0, uint& x1, const uint* from) {                                  \
    asm volatile("ldmatrix.sync.aligned.m8n8.x2" how ".shared.b16 {%0, %1}, [%2];"                                     \
                 : "=r"(x0), "=r"(x1)                                                                                  \
                 : "r"((uint)__cvta_generic_to_shared(from))                                                           \
                 : "memory");                                                                                          \
  }
TAKE4(f_take4, "")
TAKE4(f_take4_turned, ".trans")
TAKE2(f_take2, "")
TAKE2(f_take2_turned, ".trans")
#define f_pair(low, high) ((to_bits(low) >> 16) | (to_bits(high) & 0xffff0000u))
// Two or four neighbours in one access, as OpenCL calls it; here they must lie at a multiple of their number.
#define NEIGHBOURS(type, n)                                                                                            \
  static __device__ __forceinline__ type##n vload##n(long i, const type* from) { return ((const type##n*)from)[i]; }   \
  static __device__ __forceinline__ void vstore##n(type##n x, long i, type* into) { ((type##n*)into)[i] = x; }
#define NEIGHBOURS_OF(type) NEIGHBOURS(type, 2) NEIGHBOURS(type, 4)
NEIGHBOURS_OF(float)
NEIGHBOURS_OF(int)
NEIGHBOURS_OF(uint)
NEIGHBOURS_OF(uchar)
NEIGHBOURS_OF(ushort)
#define VECTOR2(type, a, b) make_##type##2(a, b)
#define VECTOR4(type, a, b, c, d) make_##type##4(a, b, c, d)
#define NOTHING2 make_float2(0.0f, 0.0f)
#define NOTHING4 make_float4(0.0f, 0.0f, 0.0f, 0.0f)
