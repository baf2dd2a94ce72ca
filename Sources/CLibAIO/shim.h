// Linux AIO through libaio. See CLinux/shim.h for why __USE_XOPEN is hidden while <sys/select.h> is
// read.
#ifndef IOENGINE_CLIBAIO_H
#define IOENGINE_CLIBAIO_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <features.h>
#undef __USE_XOPEN
#include <sys/select.h>
#define __USE_XOPEN 1
#include <libaio.h>
#endif
