// SPDX-License-Identifier: Apache-2.0
// What the interposer sees of C: the verbs structures and the libc it is allowed to need.
#ifndef FERMATA_CVERBS_H
#define FERMATA_CVERBS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <infiniband/sa.h>
#include <infiniband/verbs.h>
#include <rdma/ib_user_sa.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_cm.h>
#include <limits.h>
#include <linux/stat.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "Fabric.h"

// Behind _GNU_SOURCE, which a module cannot ask of its importer.
int memfd_create(const char *name, unsigned int flags);
void *dlsym(void *restrict handle, const char *restrict name);

#endif
