/* The environment is all that comes through exec(): texts in it, and descriptors that they name. */
#include "app/worker.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/num.h"

/* Bytes of a line of the log. */
#define LINE_MAX_LEN 1200

static int worker_read_key(struct worker *w)
{
	char path[WORKER_DIR_TEXT + 8];
	ssize_t n;
	int fd;

	str_printf(path, sizeof path, "%s/" WORKER_KEY_FILE, w->dir);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return ERR_IO;
	n = read(fd, w->key, sizeof w->key);
	close(fd);
	return n == (ssize_t)sizeof w->key ? 0 : ERR_IO;
}

/* "INDEX SAYS FD" */
static int worker_read_numbers(struct worker *w, struct str text)
{
	static const uint64_t most[] = {WORKER_INDEX_MAX - 1, 1, 1 << 30};
	uint64_t n[ARRAY_LEN(most)];
	struct str word;

	for (size_t i = 0; i < ARRAY_LEN(most); i++)
		if (!str_next(&text, ' ', &word) || num_parse(word, most[i], &n[i]) != 0)
			return ERR_PROTO;
	if (text.p != NULL || n[2] <= STDERR_FILENO || fcntl((int)n[2], F_SETFD, FD_CLOEXEC) != 0)
		return ERR_PROTO;
	w->index = (unsigned)n[0];
	w->says = n[1] != 0;
	w->ready_fd = (int)n[2];
	return 0;
}

static int worker_read_given(struct worker *w, const char *numbers)
{
	const char *dir = getenv(WORKER_ENV_DIR), *sockets = getenv(WORKER_ENV_SOCKETS);
	int e;

	if (dir == NULL || sockets == NULL || str_copy(w->dir, sizeof w->dir, str_of(dir)) != 0 ||
	    worker_read_numbers(w, str_of(numbers)) != 0)
		return ERR_PROTO;
	if ((e = socket_table_parse(str_of(sockets), &w->sockets)) != 0 ||
	    (e = worker_read_key(w)) != 0)
		return e;
	socket_table_inherit(&w->sockets, false);
	w->on = true;
	prctl(PR_SET_NAME, "karezd"); /* started as /proc/self/exe it would be "exe" */
	return 0;
}

int worker_begin(struct worker *w, char *why)
{
	const char *numbers = getenv(WORKER_ENV);
	int e;

	*w = (struct worker){.ready_fd = -1, .says = true};
	if (numbers == NULL) {
		e = socket_table_activate(&w->sockets, getenv("LISTEN_PID"), getenv("LISTEN_FDS"),
					  why);
	} else if ((e = worker_read_given(w, numbers)) != 0) {
		str_printf(why, SOCKET_TABLE_WHY,
			   "cannot use what the supervisor has given (" WORKER_ENV "): %s",
			   err_text(e));
	}
	unsetenv(WORKER_ENV);
	unsetenv(WORKER_ENV_DIR);
	unsetenv(WORKER_ENV_SOCKETS);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return e;
}

void worker_ready(struct worker *w)
{
	if (w->ready_fd < 0)
		return;
	(void)!write(w->ready_fd, "1", 1); /* a supervisor that has gone does not wait */
	close(w->ready_fd);
	w->ready_fd = -1;
}

void worker_close_rest(struct worker *w)
{
	for (size_t i = 0; i < w->sockets.n; i++)
		close(w->sockets.v[i].fd);
	w->sockets.n = 0;
}

void worker_end(struct worker *w)
{
	worker_close_rest(w);
	if (w->ready_fd >= 0)
		close(w->ready_fd);
	w->ready_fd = -1;
	explicit_bzero(w->key, sizeof w->key);
}

/* See log.write. */
static void worker_on_line(void *arg, enum log_level level, const char *line, size_t len)
{
	struct worker *w = arg;
	char more[LINE_MAX_LEN];
	size_t n = str_printf(more, sizeof more, "%.*s worker=%u", (int)len, line, w->index);

	w->plain.write(w->plain.arg, level, more, n);
}

void worker_log(struct worker *w, struct log *log)
{
	if (!w->on)
		return;
	log_init_stderr(&w->plain, log->level);
	log->write = worker_on_line;
	log->arg = w;
}
