/* Two versions of the program must understand it: the first line says which way of writing it is.
 */
#include "app/supervisor_state.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/num.h"

#define WAY "1"

int supervisor_state_write(const struct supervisor_state *s, const struct supervisor_children *c,
			   struct buf *out)
{
	char *sockets = socket_table_format(&s->sockets), fd[16] = "-";
	int e = ERR_NOMEM;

	if (sockets == NULL)
		return e;
	if (s->pid_fd >= 0)
		str_printf(fd, sizeof fd, "%d", s->pid_fd);
	e = buf_printf(out, SUPERVISOR_STATE_MAX, WAY "\n%s\n%u %s %llu\n%zu\n%s", s->dir,
		       s->generation, fd, (unsigned long long)s->n_reloads, s->sockets.n, sockets);
	free(sockets);
	return e != 0 ? e : supervisor_children_write(c, out, SUPERVISOR_STATE_MAX);
}

static int supervisor_state_numbers(struct str line, struct supervisor_state *out)
{
	uint64_t generation, fd;
	struct str word;

	if (!str_next(&line, ' ', &word) || num_parse(word, UINT32_MAX, &generation) != 0 ||
	    !str_next(&line, ' ', &word))
		return ERR_PROTO;
	out->generation = (unsigned)generation;
	out->pid_fd = -1;
	if (!str_eq(word, STR("-"))) {
		if (num_parse(word, INT32_MAX, &fd) != 0)
			return ERR_PROTO;
		out->pid_fd = (int)fd;
	}
	return line.p != NULL && num_parse(line, UINT64_MAX, &out->n_reloads) == 0 ? 0 : ERR_PROTO;
}

int supervisor_state_read(struct str text, struct supervisor_state *out)
{
	struct str line, rest;
	uint64_t n;

	if (!str_next(&text, '\n', &line) || !str_eq(line, STR(WAY)) ||
	    !str_next(&text, '\n', &line) || line.len == 0 || line.p[0] != '/' ||
	    str_copy(out->dir, sizeof out->dir, line) != 0 || !str_next(&text, '\n', &line) ||
	    supervisor_state_numbers(line, out) != 0 || !str_next(&text, '\n', &line) ||
	    num_parse(line, SOCKET_TABLE_MAX, &n) != 0 || text.p == NULL)
		return ERR_PROTO;
	rest = text;
	for (uint64_t i = 0; i < n; i++)
		if (!str_next(&rest, '\n', &line) || rest.p == NULL)
			return ERR_PROTO;
	if (socket_table_parse((struct str){text.p, (size_t)(rest.p - text.p)}, &out->sockets) != 0)
		return ERR_PROTO;
	out->workers = rest;
	return 0;
}
