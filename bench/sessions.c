/*
 * Opens idle ssh sessions, each with one port forwarded, says "up", and keeps them until its input
 * ends.
 *
 *	sessions ADDRESS PORT N KEY-FILE...
 *
 * Several are opened at a time: a server of tunnels waits a little for words that may follow the
 * forward, and sshd for a process.
 */
#include <libssh/libssh.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OPENERS 32 /* sessions that are opened at the same time */
#define STEP_S	60 /* for connecting, and for each answer of the server */

/* What all openers share. */
struct work {
	const char *address, *user;
	unsigned port;
	int n;
	ssh_key *keys; /* [n_keys] */
	int n_keys;
	atomic_int next; /* the session that is opened next */
};

__attribute__((noreturn)) static void fail(const char *what, ssh_session s)
{
	fprintf(stderr, "sessions: %s: %s\n", what, s != NULL ? ssh_get_error(s) : "");
	_exit(1); /* the other openers go on meanwhile */
}

static void session_open(const struct work *w, ssh_key key)
{
	ssh_session s = ssh_new();
	int config = 0, bound = 0;
	long step_s = STEP_S;

	if (s == NULL)
		fail("no memory", NULL);
	ssh_options_set(s, SSH_OPTIONS_PROCESS_CONFIG, &config);
	ssh_options_set(s, SSH_OPTIONS_HOST, w->address);
	ssh_options_set(s, SSH_OPTIONS_PORT, &w->port);
	ssh_options_set(s, SSH_OPTIONS_USER, w->user);
	ssh_options_set(s, SSH_OPTIONS_TIMEOUT, &step_s);
	ssh_options_set(s, SSH_OPTIONS_CIPHERS_C_S, "aes128-gcm@openssh.com");
	ssh_options_set(s, SSH_OPTIONS_CIPHERS_S_C, "aes128-gcm@openssh.com");
	if (ssh_connect(s) != SSH_OK)
		fail("connecting", s);
	if (ssh_userauth_publickey(s, NULL, key) != SSH_AUTH_SUCCESS)
		fail("logging in", s);
	if (ssh_channel_listen_forward(s, "localhost", 0, &bound) != SSH_OK)
		fail("forwarding", s);
}

/* The keys take turns: a server may limit what one of them has. Each opener has copies, since
 * libssh keeps state in a key that signs. */
static void *opener_run(void *arg)
{
	struct work *w = arg;
	int i;

	while ((i = atomic_fetch_add(&w->next, 1)) < w->n) {
		ssh_key key = ssh_key_dup(w->keys[i % w->n_keys]);

		if (key == NULL)
			fail("no memory", NULL);
		session_open(w, key);
		ssh_key_free(key);
	}
	return NULL;
}

static ssh_key key_read(const char *file)
{
	ssh_key key = NULL;

	if (ssh_pki_import_privkey_file(file, NULL, NULL, NULL, &key) != SSH_OK)
		fail("a key cannot be read", NULL);
	return key;
}

int main(int argc, char **argv)
{
	struct work w = {.n_keys = argc - 4};
	pthread_t openers[OPENERS];

	if (argc < 5 || (w.n = atoi(argv[3])) <= 0)
		fail("usage: sessions ADDRESS PORT N KEY-FILE...", NULL);
	w.address = argv[1];
	w.port = (unsigned)atoi(argv[2]);
	w.user = getenv("USER") != NULL ? getenv("USER") : "root";
	if ((w.keys = calloc((size_t)w.n_keys, sizeof *w.keys)) == NULL)
		fail("no memory", NULL);
	for (int i = 0; i < w.n_keys; i++)
		w.keys[i] = key_read(argv[4 + i]);
	for (int i = 0; i < OPENERS; i++)
		if (pthread_create(&openers[i], NULL, opener_run, &w) != 0)
			fail("no thread", NULL);
	for (int i = 0; i < OPENERS; i++)
		pthread_join(openers[i], NULL);
	puts("up");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
