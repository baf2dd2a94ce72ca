// The system calls of the hot paths, without a function around them: behind a system call the processor has
// forgotten where its callers return to, and each return is mispredicted. Beside them those for which the C
// library has no function, and the hint of a waiting loop. Nothing else is declared here, because inlinable
// code imports it publicly. Headers only.
//
// All calls answer as the kernel does: a number, or a negative errno.
#ifndef IOENGINE_CSYSTEMCALLS_H
#define IOENGINE_CSYSTEMCALLS_H
#if !defined(__x86_64__) && !defined(__aarch64__)
#include <errno.h>
#include <unistd.h>
#endif
#include <sys/syscall.h>

// A call with as many arguments as there can be.
static inline long linux_direct_call(long number, long first, long second, long third, long fourth,
                                     long fifth, long sixth) {
#if defined(__x86_64__)
  long answer;
  register long r10 __asm__("r10") = fourth;
  register long r8 __asm__("r8") = fifth;
  register long r9 __asm__("r9") = sixth;
  __asm__ volatile("syscall"
                   : "=a"(answer)
                   : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return answer;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = first;
  register long x1 __asm__("x1") = second;
  register long x2 __asm__("x2") = third;
  register long x3 __asm__("x3") = fourth;
  register long x4 __asm__("x4") = fifth;
  register long x5 __asm__("x5") = sixth;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return x0;
#else
  long answer = syscall(number, first, second, third, fourth, fifth, sixth);
  return answer < 0 ? -errno : answer;
#endif
}

// io_uring_enter(2): how many of the entries were taken.
static inline int linux_io_uring_enter(unsigned descriptor, unsigned submit, unsigned minimum,
                                       unsigned flags, const void *argument, unsigned long size) {
  return (int)linux_direct_call(SYS_io_uring_enter, descriptor, submit, minimum, flags,
                                (long)argument, (long)size);
}

// io_uring_setup(2): a descriptor.
static inline int linux_io_uring_setup(unsigned entries, void *parameters) {
  return (int)linux_direct_call(SYS_io_uring_setup, entries, (long)parameters, 0, 0, 0, 0);
}

// io_uring_register(2): what the operation answers.
static inline int linux_io_uring_register(int descriptor, unsigned operation, void *argument,
                                          unsigned count) {
  return (int)linux_direct_call(SYS_io_uring_register, descriptor, operation, (long)argument,
                                count, 0, 0);
}

// io_submit(2): how many of the entries were taken.
static inline long linux_io_submit(unsigned long context, long count, void *entries) {
  return linux_direct_call(SYS_io_submit, (long)context, count, (long)entries, 0, 0, 0);
}

// Tells the processor that this thread waits in a loop.
static inline void linux_relax(void) {
#if defined(__x86_64__)
  __asm__ volatile("pause" ::: "memory");
#elif defined(__aarch64__)
  __asm__ volatile("yield" ::: "memory");
#else
  __asm__ volatile("" ::: "memory");
#endif
}
#endif
