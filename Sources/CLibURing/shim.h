// liburing wants _GNU_SOURCE, under which <sys/select.h> would declare fd_set differently from the
// Glibc module and the two would clash. Hiding __USE_XOPEN while that header is read keeps them equal.
#ifndef IOENGINE_CLIBURING_H
#define IOENGINE_CLIBURING_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <features.h>
#undef __USE_XOPEN
#include <sys/select.h>
#define __USE_XOPEN 1
// The kernel's own header before liburing's copy of it (they share their include guard): swift-system
// has a module over the former, and two differing definitions of one struct would clash.
#include <linux/io_uring.h>
#include <liburing.h>
#include <sys/eventfd.h>
#endif
