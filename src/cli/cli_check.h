/*
 * What a value must be that a person gives, on a command line or in a file. Each is a
 * config_check_fn: 0, or ERR_INVAL and a phrase that goes on after the value.
 */
#ifndef KAREZ_CLI_CLI_CHECK_H
#define KAREZ_CLI_CLI_CHECK_H

#include "base/str.h"

struct url;

/* The URL of a karezd: http:// or https://. */
int cli_check_server(struct str value, char *reason, size_t reason_cap);

/* What a tunnel shall be called: "demo", "demo.tim". */
int cli_check_name(struct str value, char *reason, size_t reason_cap);

/* A host name of one's own, perhaps behind "*.". */
int cli_check_host(struct str value, char *reason, size_t reason_cap);

/* The address of the server that a port is at. */
int cli_check_bind(struct str value, char *reason, size_t reason_cap);

/* What an agent calls itself, or its target. Source: doc/session-protocol.md. */
int cli_check_id(struct str value, char *reason, size_t reason_cap);

/* The target of an http tunnel; of a directory, whether it is there, which blocks. */
int cli_check_web(struct str value, char *reason, size_t reason_cap);

/* The target of a tcp or tls tunnel. */
int cli_check_stream(struct str value, char *reason, size_t reason_cap);

/* How a target is checked: "tcp", or the path of a GET. */
int cli_check_health(struct str value, char *reason, size_t reason_cap);

/* An address of visitors, or a block of them. */
int cli_check_block(struct str value, char *reason, size_t reason_cap);

/* The service that is asked about visitors; "": none. */
int cli_check_hook(struct str value, char *reason, size_t reason_cap);

/* What becomes of Host: "keep", "rewrite", or what it shall say. */
int cli_check_host_header(struct str value, char *reason, size_t reason_cap);

/* A field that is added, "Name: value", or removed, "Name", of requests or answers. */
int cli_check_request_add(struct str value, char *reason, size_t reason_cap);
int cli_check_request_remove(struct str value, char *reason, size_t reason_cap);
int cli_check_response_add(struct str value, char *reason, size_t reason_cap);
int cli_check_response_remove(struct str value, char *reason, size_t reason_cap);

/* Write why a directory cannot be shown, if so. Blocks. Returns 0 or ERR_INVAL. */
int cli_check_dir(const struct url *url, char *reason, size_t reason_cap);

#endif
