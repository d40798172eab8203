/* See the header. What goes wrong here ends the connection, and that is what the test then sees. */
#include "secsh_server.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

void secsh_server_note(struct secsh_server *s, const char *text)
{
	size_t len = strlen(s->seen);

	snprintf(s->seen + len, sizeof s->seen - len, "%s ", text);
}

static bool wants_more(struct secsh_server *s, ssh_message m)
{
	if (!s->both)
		return false;
	ssh_message_auth_set_methods(m, SSH_AUTH_METHOD_PASSWORD);
	(void)ssh_message_auth_reply_success(m, 1);
	s->both = false;
	return true;
}

static bool key_is_good(struct secsh_server *s, ssh_message m)
{
	return s->user_key != NULL &&
	       ssh_key_cmp(s->user_key, ssh_message_auth_pubkey(m), SSH_KEY_CMP_PUBLIC) == 0;
}

/* Returns whether whoever it is is in now; the message is answered. */
static bool answer_login(struct secsh_server *s, ssh_message m)
{
	const char *prompts[] = {"Code: "}, *answer;
	char echo[] = {0};
	bool good = s->methods == 0;

	if (ssh_message_subtype(m) != SSH_AUTH_METHOD_NONE)
		(void)poll(NULL, 0, s->thinks_ms);
	if (ssh_message_auth_user(m) != NULL) /* the answer to a question names nobody */
		snprintf(s->user, sizeof s->user, "%s", ssh_message_auth_user(m));
	switch (ssh_message_subtype(m)) {
	case SSH_AUTH_METHOD_PUBLICKEY:
		good = key_is_good(s, m);
		if (ssh_message_auth_publickey_state(m) == SSH_PUBLICKEY_STATE_NONE) {
			s->n_offered++;
			if (good)
				(void)ssh_message_auth_reply_pk_ok_simple(m);
			if (good)
				return false;
		} else if (good && wants_more(s, m)) {
			return false;
		}
		break;
	case SSH_AUTH_METHOD_PASSWORD:
		good = s->password != NULL &&
		       strcmp(s->password, ssh_message_auth_password(m)) == 0;
		break;
	case SSH_AUTH_METHOD_INTERACTIVE:
		if (!ssh_message_auth_kbdint_is_response(m)) {
			(void)ssh_message_auth_interactive_request(m, "name", "say it", 1, prompts,
								   echo);
			return false;
		}
		answer = ssh_userauth_kbdint_getanswer(s->ssh, 0);
		good = s->answer != NULL && answer != NULL && strcmp(s->answer, answer) == 0;
		break;
	default: break;
	}
	if (good) {
		(void)ssh_message_auth_reply_success(m, 0);
		return true;
	}
	if (ssh_message_subtype(m) != SSH_AUTH_METHOD_NONE && ++s->n_refused == s->tries_max) {
		(void)ssh_session_set_disconnect_message(s->ssh, s->goodbye != NULL
									 ? s->goodbye
									 : "too many attempts");
		ssh_disconnect(s->ssh);
		return false;
	}
	ssh_message_auth_set_methods(m, s->methods);
	(void)ssh_message_reply_default(m);
	return false;
}

static void answer_forward(struct secsh_server *s, ssh_message m)
{
	const char *address = ssh_message_global_request_address(m);
	int port = ssh_message_global_request_port(m);
	size_t len = strlen(s->addresses);

	snprintf(s->addresses + len, sizeof s->addresses - len, "%s:%d ", address, port);
	if (s->is_mute)
		s->n_asked++;
	else if (s->refuse >> s->n_asked++ & 1)
		(void)ssh_message_reply_default(m);
	else
		(void)ssh_message_global_request_reply_success(m, port == 0 ? s->allocated : 0);
}

static void serve(struct secsh_server *s)
{
	ssh_message m;

	while (ssh_is_connected(s->ssh) && (m = ssh_message_get(s->ssh)) != NULL) {
		bool ready = false;

		if (ssh_message_type(m) == SSH_REQUEST_SERVICE)
			(void)ssh_message_service_reply_success(m);
		else if (ssh_message_type(m) == SSH_REQUEST_AUTH && s->is_deaf)
			ready = false;
		else if (ssh_message_type(m) == SSH_REQUEST_AUTH)
			ready = answer_login(s, m) && s->n_forwards == 0;
		else if (ssh_message_type(m) == SSH_REQUEST_GLOBAL)
			answer_forward(s, m);
		else
			(void)ssh_message_reply_default(m);
		ssh_message_free(m);
		if (ready || (s->n_forwards > 0 && s->n_asked == s->n_forwards)) {
			if (s->rest != NULL)
				s->rest(s);
			return;
		}
	}
}

static void *run(void *arg)
{
	struct secsh_server *s = arg;

	if (ssh_handle_key_exchange(s->ssh) == SSH_OK)
		serve(s);
	if (ssh_is_connected(s->ssh))
		ssh_disconnect(s->ssh);
	ssh_free(s->ssh);
	return NULL;
}

void secsh_server_start(struct secsh_server *s)
{
	ssh_key key = ssh_key_dup(s->host_key); /* the bind frees it */
	ssh_bind bind = ssh_bind_new();
	bool no = false;
	int pair[2];

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	assert_int_equal(0, fcntl(pair[0], F_SETFL, O_NONBLOCK));
	assert_int_equal(0, ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no));
	assert_int_equal(0, ssh_bind_options_set(bind, SSH_BIND_OPTIONS_IMPORT_KEY, key));
	s->ssh = ssh_new();
	assert_int_equal(SSH_OK, ssh_bind_accept_fd(bind, s->ssh, pair[1]));
	ssh_bind_free(bind);
	s->fd = pair[0];
	s->seen[0] = s->addresses[0] = '\0';
	s->n_asked = 0;
	s->n_refused = s->n_offered = 0;
	assert_int_equal(0, pthread_create(&s->thread, NULL, run, s));
}

void secsh_server_end(struct secsh_server *s)
{
	assert_int_equal(0, pthread_join(s->thread, NULL));
}

ssh_channel secsh_server_visit(struct secsh_server *s, const char *address, int port)
{
	ssh_channel ch = ssh_channel_new(s->ssh);

	if (ssh_channel_open_reverse_forward(ch, address, port, "192.0.2.7", 4711) == SSH_OK)
		return ch;
	ssh_channel_free(ch);
	return NULL;
}
