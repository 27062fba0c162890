// The names that rendered code uses, in OpenCL C 1.2. Each is one primitive of the contract with its exact bits,
// given a device that keeps subnormals. Division and square root are the device's own where it rounds them
// correctly (-cl-fp32-correctly-rounded-divide-sqrt). Else BY_DOUBLE is defined: binary64 has more than twice the
// digits and two, so rounding its quotient or root once more gives the correctly rounded one.
#pragma OPENCL FP_CONTRACT OFF
#define KERNEL __kernel void
#define GLOBAL __global
#define LOCAL __local
#define SYNC barrier(CLK_LOCAL_MEM_FENCE)
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
