// What the Glibc module of Swift leaves out: statx, statfs, fallocate, preadv2, RWF flags, O_DIRECT,
// eventfd, names and processors of threads. Headers only.
// Under _GNU_SOURCE <sys/select.h> would declare fd_set differently from the Glibc module and the two would
// clash. Hiding __USE_XOPEN while that header is read keeps them equal.
#ifndef IOENGINE_CLINUX_H
#define IOENGINE_CLINUX_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <features.h>
#undef __USE_XOPEN
#include <sys/select.h>
#define __USE_XOPEN 1
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/stat.h>

// The C library's statx under another name: Swift imports the struct of that name and hides the
// function behind it.
int linux_statx(int directory, const char *path, int flags, unsigned mask, struct statx *answer)
    __asm__("statx");

// syscall(2) with three arguments: Swift cannot call what takes a varying number of them.
long linux_call(long number, long first, long second, long third) __asm__("syscall");

// Swift hides fork; the tests of what a forked child may do need it.
int linux_fork(void) __asm__("fork");
#endif
