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
#define FAR(place) far_away((uint)(place), one == 0.0f ? 0u : (uint)((place) >> 32))
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
// The same, or zeros where there is nothing.
#define ASIDE_OF(how, bytes)                                                                                           \
  static __device__ __forceinline__ void aside##bytes##_of(float* into, const float* from, bool exists) {              \
    asm volatile("cp.async." how ".shared.global [%0], [%1], " #bytes ", %2;" ::"r"(                                   \
                     (uint)__cvta_generic_to_shared(into)),                                                            \
                 "l"(__cvta_generic_to_global(from)), "r"(exists ? bytes : 0)                                          \
                 : "memory");                                                                                          \
  }
ASIDE_OF("ca", 4)
ASIDE_OF("ca", 8)
ASIDE_OF("cg", 16)
#define COPY1_OF(into, from, exists) aside4_of(into, from, exists)
#define COPY2_OF(into, from, exists) aside8_of(into, from, exists)
#define COPY4_OF(into, from, exists) aside16_of(into, from, exists)
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
// A number of bfloat16 in two bytes of memory, and the upper half of one that holds it.
#define f_widened(a) to_float((uint)(a) << 16)
#define f_halved(a) ((ushort)(to_bits(a) >> 16))
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
// 128 work-items together, on the side: 64 × 64 of bfloat16 by 64 × `across`, both as a descriptor says where they lie in
// shared memory, added to the `across` / 2 sums of each; of a `turned` operand a row of memory is a step, of others a
// line. Writes to memory are seen by it behind SEEN_ASIDE in the writer and a SYNC; sums are there behind f_multiplied, and
// no one may write where the operands lie before. Its order of sums is its own, as that of f_matrices.
// PTX ISA 9.0, 9.7.15.4 (the proxies), 9.7.15.5 (wgmma.mma_async), 9.7.15.7 (fence, commit_group, wait_group).
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// Copies since the last COPIES_END are a group; all but the last `n` groups are there behind COPIES_LEFT.
#define COPIES_END asm volatile("cp.async.commit_group;" ::: "memory")
#define COPIES_LEFT(n) asm volatile("cp.async.wait_group " #n ";" ::: "memory")
#define SEEN_ASIDE asm volatile("fence.proxy.async.shared::cta;" ::: "memory")
#define NAMED32 \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define NAMED64 NAMED32 \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define NAMED128 NAMED64 \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define KEPT4(i) "+f"(s[i]), "+f"(s[i + 1]), "+f"(s[i + 2]), "+f"(s[i + 3])
#define KEPT16(i) KEPT4(i), KEPT4(i + 4), KEPT4(i + 8), KEPT4(i + 12)
#define KEPT32 KEPT16(0), KEPT16(16)
#define KEPT64 KEPT32, KEPT16(32), KEPT16(48)
#define KEPT128 KEPT64, KEPT16(64), KEPT16(80), KEPT16(96), KEPT16(112)
#define PART(across, named, a, b, ways)                                                                                \
  "wgmma.mma_async.sync.aligned.m64n" #across "k16.f32.bf16.bf16 {" named "}, " a ", " b ", 1, 1, 1, " ways ";\n"
// Four steps of 16; a step is 32 bytes further in a line, or 16 rows of 128 bytes.
#define MULTIPLY(across, named, kept, a0, b0, a1, b1, a2, b2, a3, b3, ways)                                            \
  template <int LEFT, int RIGHT>                                                                                       \
  static __device__ __forceinline__ void f_multiply(float (&s)[across / 2], ulonglong a, ulonglong b) {                \
    const int x = LEFT ? 128 : 2, y = RIGHT ? 128 : 2;                                                                 \
    asm volatile("wgmma.fence.sync.aligned;\n" PART(across, named, a0, b0, ways) PART(across, named, a1, b1, ways)     \
                     PART(across, named, a2, b2, ways) PART(across, named, a3, b3, ways)                               \
                 "wgmma.commit_group.sync.aligned;"                                                                    \
                 : kept                                                                                                \
                 : "l"(a), "l"(b), "l"(a + x), "l"(b + y), "l"(a + 2 * x), "l"(b + 2 * y), "l"(a + 3 * x),             \
                   "l"(b + 3 * y), "n"(LEFT), "n"(RIGHT)                                                               \
                 : "memory");                                                                                          \
  }                                                                                                                    \
  static __device__ __forceinline__ void f_multiplied(float (&s)[across / 2]) {                                        \
    asm volatile("wgmma.wait_group.sync.aligned 0;" : kept : : "memory");                                              \
  }
typedef unsigned long long ulonglong;
MULTIPLY(64, NAMED32, KEPT32, "%32", "%33", "%34", "%35", "%36", "%37", "%38", "%39", "%40, %41")
MULTIPLY(128, NAMED64, KEPT64, "%64", "%65", "%66", "%67", "%68", "%69", "%70", "%71", "%72, %73")
MULTIPLY(256, NAMED128, KEPT128, "%128", "%129", "%130", "%131", "%132", "%133", "%134", "%135", "%136, %137")
// Rows of 128 bytes from a multiple of 1024 on, each piece of 16 bytes at its number, exclusive-or that of its row mod 8
// (128-byte swizzle); eight rows are 1024 bytes, and 64 rows, or the next 64 lines of what is turned, 8192. PTX ISA 9.0,
// 9.7.15.5.1.2.
static __device__ __forceinline__ ulonglong f_described(const uint* from, int turned) {
  const ulonglong start = (uint)__cvta_generic_to_shared(from) >> 4, further = turned ? 8192 >> 4 : 1;
  return start | further << 16 | (ulonglong)(1024 >> 4) << 32 | 1ull << 62;
}
#endif
