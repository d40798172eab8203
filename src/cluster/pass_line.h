/* What is said of a descriptor that one worker hands to another: a line of text. For pass.c. */
#ifndef KAREZ_CLUSTER_PASS_LINE_H
#define KAREZ_CLUSTER_PASS_LINE_H

#include "cluster/pass.h"
#include "proto/cidr.h"

/* Bytes of a line, NUL included. */
#define PASS_LINE (2 * CIDR_IP_TEXT_MAX + HOSTNAME_MAX + 64)

/* Write one. Returns its bytes; PASS_LINE or more: it was cut. */
size_t pass_line_format(const struct pass_visitor *v, char out[PASS_LINE]);

/* Returns 0, ERR_UNSUPPORTED (a version or a door that we do not know) or ERR_PROTO. */
int pass_line_parse(struct str line, struct pass_visitor *v) MUST_CHECK;

#endif
