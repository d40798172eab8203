/* DNS messages for tests: written one record at a time, well-formed unless asked otherwise. */
#ifndef KAREZ_TEST_DNS_PACKET_H
#define KAREZ_TEST_DNS_PACKET_H

#include "base/str.h"

struct dns_packet {
	uint8_t bytes[65536];
	size_t len;
};

/* In names '/' stands for a dot that is part of a label. */
struct dns_rr {
	const char *owner; /* NULL: none */
	int type; /* ns_t_txt: strings joined by '|'; ns_t_cname: a name; ns_t_a, ns_t_aaaa */
	const char *data;
};

/* Head and question of an answer. The record count grows with each record. */
void dns_begin(struct dns_packet *p, unsigned id, unsigned flags, const char *name, int type);
void dns_add(struct dns_packet *p, const struct dns_rr *rr);
void dns_add_raw(struct dns_packet *p, const char *owner, int type, struct str data);

/* Overwrite 16 bits of the head: 0 id, 2 flags, 4 questions, 6 answers. */
void dns_patch(struct dns_packet *p, size_t at, unsigned value);

struct str dns_bytes(const struct dns_packet *p);

/* Id, name and type of a question without compression; name [256]. */
void dns_question(const uint8_t *bytes, size_t len, unsigned *id, char *name, int *type);

#endif
