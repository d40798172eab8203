/*
 * Writing on a channel.
 *
 * A peer says how large the packets of a channel may be (RFC 4254 5.1), and libssh cuts what we
 * write into pieces of that size less 10. It does not check the number, nor can one ask for it:
 * with 10 it would send empty packets for ever, with 11 packets of one byte. So writes are watched
 * through libssh's log, where it tells of each packet, until one of a good size has gone; when the
 * first of a write is smaller than there was reason for, the write is left in the middle, from
 * within the log. The session ends then, and nothing of it is used again but to free it.
 *
 * A peer may also confirm a channel once more, which it must not, and libssh takes the new number
 * before it finds that out. It warns in its log, but not of which session: so after such a warning
 * every channel is watched anew.
 */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "session/secsh_wire.h"

/* What channel_write_common() of libssh 0.10 logs at SSH_LOG_PACKET for each packet. */
#define GUARD_TEXT "ssh_channel_write wrote "
/* What its ssh_packet_channel_open_conf() logs at SSH_LOG_WARNING. */
#define GUARD_DOUBT "CHANNEL_OPEN_CONFIRMATION received in incorrect"

struct guard {
	jmp_buf away;
	unsigned long least; /* bytes that the first packet must have */
	bool seen;	     /* it has them */
	bool doubt;	     /* a channel was confirmed twice */
};

/* While nothing is watched the log's userdata is no pointer but the number of such warnings. */
static void guard_on_warning(int priority, const char *function, const char *line, void *arg)
{
	if (strstr(line, GUARD_DOUBT) != NULL)
		(void)ssh_set_log_userdata((void *)((uintptr_t)arg + 1));
}

static void guard_set_idle(uintptr_t doubts)
{
	(void)ssh_set_log_level(SSH_LOG_WARNING);
	(void)ssh_set_log_callback(guard_on_warning);
	(void)ssh_set_log_userdata((void *)doubts);
}

static void guard_on_log(int priority, const char *function, const char *line, void *arg)
{
	struct guard *g = arg;
	const char *at;

	g->doubt |= strstr(line, GUARD_DOUBT) != NULL;
	if (g->seen || (at = strstr(line, GUARD_TEXT)) == NULL)
		return;
	(void)ssh_set_log_level(SSH_LOG_WARNING);
	g->seen = true;
	if (strtoul(at + sizeof GUARD_TEXT - 1, NULL, 10) < g->least)
		longjmp(g->away, 1);
}

/* Returns false if the peer's packets are too small. */
static bool guard_try(ssh_channel ch, struct str data, struct secsh_proof *proof, int *n)
{
	struct guard g = {.least = MIN(data.len, (size_t)SECSH_PACKET_LEAST)};

	if (setjmp(g.away) != 0) {
		guard_set_idle(proof->doubts);
		return false;
	}
	(void)ssh_set_log_callback(guard_on_log);
	(void)ssh_set_log_userdata(&g);
	(void)ssh_set_log_level(SSH_LOG_PACKET);
	*n = ssh_channel_write(ch, data.p, (uint32_t)data.len);
	guard_set_idle(proof->doubts + g.doubt);
	if (g.seen)
		proof->bytes = MAX(proof->bytes, (size_t)g.least);
	return true;
}

void secsh_guard_start(void)
{
	if (ssh_get_log_callback() != guard_on_warning)
		guard_set_idle(0);
}

int secsh_guard_write(struct secsh_link *l, ssh_channel ch, struct str data,
		      struct secsh_proof *proof)
{
	uintptr_t doubts = (uintptr_t)ssh_get_log_userdata();
	int n = -1;

	data.len = MIN(data.len, (size_t)ssh_channel_window_size(ch));
	if (proof->doubts != doubts)
		*proof = (struct secsh_proof){.doubts = doubts};
	if (proof->bytes >= MIN(data.len, (size_t)SECSH_PACKET_LEAST))
		return ssh_channel_write(ch, data.p, (uint32_t)data.len);
	if (!guard_try(ch, data, proof, &n)) {
		secsh_link_fail(l, ERR_PROTO, STR("the packets of a channel are too small"));
		return -1;
	}
	return n;
}
