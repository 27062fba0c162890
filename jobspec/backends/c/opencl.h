// The names that rendered code uses, in OpenCL C 1.2. Each is one primitive of the contract with its exact bits,
// given a device that keeps subnormals. Division and square root are the device's own where it rounds them
// correctly (-cl-fp32-correctly-rounded-divide-sqrt). Else BY_DOUBLE is defined: binary64 has more than twice the
// digits and two, so rounding its quotient or root once more gives the correctly rounded one.
#pragma OPENCL FP_CONTRACT OFF
#define KERNEL __kernel void
#define BOUND(items)
// Intel's compiler (2026.2) crashes where it tries to make vectors of work-items that ask for memory ahead.
#define VECTORS(n) __attribute__((vec_type_hint(float##n)))
#define GLOBAL __global
#define LOCAL __local
#define GROUP_MEMORY(bytes) __local uchar group_memory[bytes] __attribute__((aligned(128)))
#define SHARED __local
#define FAR(place) (place)
#define ROLLED
#define UNROLLED
#define SYNC barrier(CLK_LOCAL_MEM_FENCE)
#define COPY1(into, from) (*(into) = *(from))
#define COPY2(into, from) vstore2(vload2(0, from), 0, into)
#define COPY4(into, from) vstore4(vload4(0, from), 0, into)
#define COPIED
// A processor's compiler takes any address; what is asked for is never needed.
#if __has_builtin(__builtin_prefetch)
#define AHEAD(p) __builtin_prefetch((const void*)(size_t)(p))
#else
#define AHEAD(p)
#endif
// Two or four neighbours for one access (vstore2, vstore4).
#define VECTOR2(type, a, b) ((type##2)((type)(a), (type)(b)))
#define VECTOR4(type, a, b, c, d) ((type##4)((type)(a), (type)(b), (type)(c), (type)(d)))
#define GROUP ((long)get_group_id(0))
#define ITEM ((int)get_local_id(0))
#define f_add(a, b) ((a) + (b))
// A link of a sum in a loop. `one` is 1, which no compiler knows, so that it is the same number and stays in its place:
// Intel's takes `acc + x` in a loop for a sum whose order is free, against the standard and without being asked.
#define f_link(acc, x) fma(x, one, acc)
#define f_sub(a, b) ((a) - (b))
#define f_mul(a, b) ((a) * (b))
#define f_fma(a, b, c) fma(a, b, c)
#ifdef BY_DOUBLE
#define f_div(a, b) ((float)((double)(a) / (double)(b)))
#define f_sqrt(a) ((float)sqrt((double)(a)))
#else
#define f_div(a, b) ((a) / (b))
#define f_sqrt(a) sqrt(a)
#endif
#define f_floor(a) floor(a)
#define f_rint(a) rint(a)
#define to_bits(a) as_uint(a)
#define to_float(a) as_float(a)
#define u_mulhi(a, b) mul_hi((uint)(a), (uint)(b))
#define int_to_f(a) ((float)(a))
#define uint_to_f(a) ((float)(a))
// By its bits: compilers take a root for a number, and `a != a` for false.
#define f_canonical(a) ((as_uint(a) & 0x7fffffffu) > 0x7f800000u ? as_float(0x7fc00000u) : (a))
static inline int f_to_int(float x) {
  const int inside = (int)(x >= -2147483648.0f && x < 2147483648.0f ? x : 0.0f);
  return x >= 2147483648.0f ? 2147483647 : x < -2147483648.0f ? (-2147483647 - 1) : inside;
}

// The same in every lane of a vector of n.
#ifdef BY_DOUBLE
#define WIDE_ROOTS(n) \
  static inline float##n f_div##n(float##n a, float##n b) { \
    return convert_float##n(convert_double##n(a) / convert_double##n(b)); \
  } \
  static inline float##n f_sqrt##n(float##n a) { return convert_float##n(sqrt(convert_double##n(a))); }
#else
#define WIDE_ROOTS(n) \
  static inline float##n f_div##n(float##n a, float##n b) { return a / b; } \
  static inline float##n f_sqrt##n(float##n a) { return sqrt(a); }
#endif
#define WIDE(n) \
  WIDE_ROOTS(n) \
  static inline uint##n to_bits##n(float##n a) { return as_uint##n(a); } \
  static inline float##n to_float##n(uint##n a) { return as_float##n(a); } \
  static inline uint##n u_mulhi##n(uint##n a, uint##n b) { return mul_hi(a, b); } \
  static inline float##n int_to_f##n(int##n a) { return convert_float##n(a); } \
  static inline float##n uint_to_f##n(uint##n a) { return convert_float##n(a); } \
  static inline float##n f_canonical##n(float##n a) { \
    return (as_uint##n(a) & 0x7fffffffu) > 0x7f800000u ? (float##n)(as_float(0x7fc00000u)) : a; \
  } \
  static inline int##n f_to_int##n(float##n x) { \
    const int##n high = x >= 2147483648.0f, low = x < -2147483648.0f, inside = ~high & ~low & (x == x); \
    const int##n whole = convert_int##n(as_float##n(as_int##n(x) & inside)); \
    return (whole & inside) | (high & 2147483647) | (low & (-2147483647 - 1)); \
  }
WIDE(4)
WIDE(8)
WIDE(16)
#define f_add4(a, b) f_add(a, b)
#define f_add8(a, b) f_add(a, b)
#define f_add16(a, b) f_add(a, b)
#define f_sub4(a, b) f_sub(a, b)
#define f_sub8(a, b) f_sub(a, b)
#define f_sub16(a, b) f_sub(a, b)
#define f_mul4(a, b) f_mul(a, b)
#define f_mul8(a, b) f_mul(a, b)
#define f_mul16(a, b) f_mul(a, b)
#define f_fma4(a, b, c) fma(a, b, c)
#define f_fma8(a, b, c) fma(a, b, c)
#define f_fma16(a, b, c) fma(a, b, c)
#define f_floor4(a) floor(a)
#define f_floor8(a) floor(a)
#define f_floor16(a) floor(a)
#define f_rint4(a) rint(a)
#define f_rint8(a) rint(a)
#define f_rint16(a) rint(a)
#define f_link2(acc, x) fma(x, (float2)(one), acc)
#define f_link4(acc, x) fma(x, (float4)(one), acc)
#define f_link8(acc, x) fma(x, (float8)(one), acc)
#define f_link16(acc, x) fma(x, (float16)(one), acc)
