// The kernel's own description of io_uring, which the structures of the driver are compared with.
#include <linux/io_uring.h>
#include <linux/time_types.h>
