/* The manager's own bus is one more library and says no more than this program does. */
#include "app/systemctl.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int systemctl_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 126;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

/* posix_spawn takes words that could be changed, and changes none. */
static char *systemctl_word(const char *word)
{
	union {
		const char *in;
		char *out;
	} both = {.in = word};

	return both.out;
}

int systemctl_run(const struct systemctl *s, const char *const *words)
{
	char *argv[SYSTEMCTL_WORDS + 3];
	posix_spawn_file_actions_t files;
	size_t n = 0;
	pid_t pid;
	int e;

	argv[n++] = systemctl_word("systemctl");
	if (s->user)
		argv[n++] = systemctl_word("--user");
	for (size_t i = 0; words[i] != NULL; i++) {
		CHECK(i < SYSTEMCTL_WORDS);
		argv[n++] = systemctl_word(words[i]);
	}
	argv[n] = NULL;
	if (posix_spawn_file_actions_init(&files) != 0)
		return 126;
	e = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	for (int fd = STDOUT_FILENO; s->quiet && fd <= STDERR_FILENO && e == 0; fd++)
		e = posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_WRONLY, 0);
	if (e == 0)
		e = posix_spawnp(&pid, "systemctl", &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (e != 0)
		return e == ENOENT ? 127 : 126;
	return systemctl_wait(pid);
}

bool systemctl_answers(bool user)
{
	static const char *const words[] = {"show", "--property=Version", NULL};

	return systemctl_run(&(struct systemctl){.user = user, .quiet = true}, words) == 0;
}
