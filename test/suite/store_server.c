/* It says on its standard output when it is ready, so nobody has to wait by the clock. */
#include "suite/store_server.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ftw.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_DATABASES "1000"

void store_server_init(struct store_server *s)
{
	str_printf(s->dir, sizeof s->dir, "/tmp/karez-redis-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	str_printf(s->socket, sizeof s->socket, "%s/socket", s->dir);
}

static _Noreturn void store_server_exec(struct store_server *s, int out)
{
	const char *argv[16 + STORE_SERVER_ARGS_MAX] = {
		"redis-server", "--port", "0", "--unixsocket", s->socket, "--dir",
		s->dir,		"--save", "",  "--daemonize",  "no",	  "--databases",
		N_DATABASES,
	};
	size_t n = 13;

	for (size_t i = 0; i < STORE_SERVER_ARGS_MAX && s->args[i] != NULL; i++)
		argv[n++] = s->args[i];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, STDOUT_FILENO);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	perror("redis-server (scripts/deps.sh test installs it)");
	_exit(127);
}

void store_server_start(struct store_server *s)
{
	char line[1024];
	FILE *said;
	int pipe_fds[2];
	bool ready = false;

	assert_int_equal(pipe(pipe_fds), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0)
		store_server_exec(s, pipe_fds[1]);
	close(pipe_fds[1]);
	said = fdopen(pipe_fds[0], "r");
	assert_non_null(said);
	while (!ready && fgets(line, sizeof line, said) != NULL)
		ready = strstr(line, "ready to accept connections at") != NULL ||
			strstr(line, "Ready to accept connections") != NULL;
	fclose(said);
	if (!ready)
		fail_msg("redis-server does not start");
}

void store_server_kill(struct store_server *s)
{
	if (s->pid == 0)
		return;
	kill(s->pid, SIGKILL);
	assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
	s->pid = 0;
}

static int store_server_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void store_server_free(struct store_server *s)
{
	store_server_kill(s);
	nftw(s->dir, store_server_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void store_server_where(struct store_server *s, char *where, size_t cap)
{
	str_printf(where, cap, "redis+unix://%s?db=%u", s->socket, s->n_dbs++);
}

/* Send words and give what is answered; the caller frees it. */
static redisReply *store_server_ask(redisContext *c, const char *words)
{
	const char *argv[16];
	char text[512], *rest = text, *word;
	redisReply *reply;
	int n = 0;

	assert_int_equal(str_copy(text, sizeof text, str_of(words)), 0);
	while ((word = strsep(&rest, " ")) != NULL && n < (int)ARRAY_LEN(argv))
		argv[n++] = word;
	reply = redisCommandArgv(c, n, argv, NULL);
	assert_non_null(reply);
	if (reply->type == REDIS_REPLY_ERROR)
		fail_msg("%s: %s", words, reply->str);
	return reply;
}

void store_server_say(struct store_server *s, const char *where, const char *words, char *out,
		      size_t cap)
{
	redisContext *c = redisConnectUnix(s->socket);
	redisReply *reply;
	char select[64];

	assert_non_null(c);
	assert_int_equal(c->err, 0);
	str_printf(select, sizeof select, "SELECT %s", strstr(where, "db=") + 3);
	freeReplyObject(store_server_ask(c, select));
	reply = store_server_ask(c, words);
	if (out != NULL && reply->str != NULL)
		str_printf(out, cap, "%s", reply->str);
	else if (out != NULL)
		str_printf(out, cap, "%lld",
			   reply->type == REDIS_REPLY_ARRAY ? (long long)reply->elements
							    : reply->integer);
	freeReplyObject(reply);
	redisFree(c);
}
