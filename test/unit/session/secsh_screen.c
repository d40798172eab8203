/* The channel that a person looks at: what is shown, what is typed, and how it ends. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "unit/session/secsh_rig.h"

/* ---- what the client does ---- */

/* What it has been shown so far.  */
static int peer_on_shown(ssh_session ssh, ssh_channel ch, void *data, uint32_t len, int is_stderr,
			 void *arg)
{
	struct rig *r = arg;

	if (r->is_blind)
		return 0;
	assert_true(r->n_shown + len < sizeof r->shown);
	memcpy(r->shown + r->n_shown, data, len);
	r->n_shown += len;
	return (int)len;
}

static int step_open(struct rig_peer *p)
{
	if (p->channel == NULL) {
		p->channel = ssh_channel_new(p->link.ssh);
		p->callbacks.userdata = p->rig;
		p->callbacks.channel_data_function = peer_on_shown;
		ssh_callbacks_init(&p->callbacks);
		assert_int_equal(ssh_set_channel_callbacks(p->channel, &p->callbacks), SSH_OK);
	}
	return ssh_channel_open_session(p->channel);
}

static int step_open_is_refused(struct rig_peer *p)
{
	int rc;

	if (p->second == NULL)
		p->second = ssh_channel_new(p->link.ssh);
	rc = ssh_channel_open_session(p->second);
	return rc == SSH_ERROR ? SSH_OK : rc == SSH_OK ? SSH_ERROR : rc;
}

static int step_pty(struct rig_peer *p)
{
	return ssh_channel_request_pty(p->channel);
}

static int step_shell(struct rig_peer *p)
{
	return ssh_channel_request_shell(p->channel);
}

static int step_exec(struct rig_peer *p)
{
	return ssh_channel_request_exec(p->channel, "name=demo json");
}

static int refused(int rc)
{
	return rc == SSH_ERROR ? SSH_OK : rc == SSH_OK ? SSH_ERROR : rc;
}

static int step_exec_is_refused(struct rig_peer *p)
{
	return refused(ssh_channel_request_exec(p->channel, "again"));
}

static int step_subsystem_is_refused(struct rig_peer *p)
{
	return refused(ssh_channel_request_subsystem(p->channel, "sf\x1btp"));
}

static int step_x11_is_refused(struct rig_peer *p)
{
	return refused(ssh_channel_request_x11(p->channel, 0, NULL, "00", 0));
}

static int step_long_exec_is_refused(struct rig_peer *p)
{
	static char command[SECSH_COMMAND_MAX + 2];

	memset(command, 'x', sizeof command - 1);
	return refused(ssh_channel_request_exec(p->channel, command));
}

static int step_type(struct rig_peer *p)
{
	return ssh_channel_write(p->channel, "q\x03", 2) == 2 ? SSH_OK : SSH_ERROR;
}

static int step_eof(struct rig_peer *p)
{
	return ssh_channel_send_eof(p->channel) == SSH_ERROR ? SSH_ERROR : SSH_OK;
}

static int step_close(struct rig_peer *p)
{
	while (ssh_channel_close(p->channel) == SSH_AGAIN)
		;
	return SSH_OK;
}

#define STEPS(r, ...)                                                           \
	do {                                                                    \
		static int (*const steps[])(struct rig_peer *) = {__VA_ARGS__}; \
		rig_steps(r, steps, ARRAY_LEN(steps));                          \
	} while (0)

static bool until_shown(struct rig *r)
{
	const char *want = r->arg;

	return strcmp(r->shown, want) == 0;
}

static bool until_typed(struct rig *r)
{
	return r->n_typed == 2;
}

static bool until_left(struct rig *r)
{
	return r->left;
}

static bool until_settled(struct rig *r)
{
	return secsh_link_of(r->node)->n_channels == 0;
}

static struct rig *rig_looking(void)
{
	struct rig *r = rig_new();

	rig_run(r, rig_is_up);
	return r;
}

static void rig_shows(struct rig *r, const char *want)
{
	r->arg = (void *)(uintptr_t)want;
	rig_run(r, until_shown);
}

/* ---- the tests ---- */

static void test_a_command(void **state)
{
	struct rig *r = rig_looking();

	assert_false(secsh_node_say(r->node, STR("nobody looks\n")));
	secsh_node_leave(r->node, 1); /* harmless */
	STEPS(r, step_open, step_exec);
	assert_int_equal(r->looking, 1);
	assert_int_equal(r->worded, 1);
	assert_string_equal(r->command, "name=demo json");
	assert_false(r->terminal);
	assert_true(secsh_node_say(r->node, STR("one\ntwo\n")));
	assert_true(secsh_node_say(r->node, STR("no end")));
	rig_shows(r, "one\ntwo\nno end");
	assert_int_equal(r->node->n_streams, 0); /* a person is no load */
	secsh_node_leave(r->node, 7);
	assert_false(secsh_node_say(r->node, STR("too late\n")));
	rig_run_ms(r, 20);
	assert_int_equal(ssh_channel_get_exit_status(r->peer->channel), 7);
	assert_false(r->left); /* who leaves is not told so */
	assert_false(r->over);
	rig_free(r);
}

static void test_a_shell_on_a_terminal(void **state)
{
	struct rig *r = rig_looking();

	STEPS(r, step_open, step_pty, step_shell);
	assert_int_equal(r->worded, 1);
	assert_string_equal(r->command, "");
	assert_true(r->terminal);
	assert_true(secsh_node_say(r->node, STR("one\n\ntwo\n")));
	rig_shows(r, "one\r\n\r\ntwo\r\n");
	STEPS(r, step_type);
	rig_run(r, until_typed);
	assert_memory_equal(r->typed, "q\x03", 2);
	rig_free(r);
}

static void test_what_is_refused(void **state)
{
	struct rig *r = rig_looking();

	STEPS(r, step_open, step_open_is_refused, step_subsystem_is_refused, step_x11_is_refused,
	      step_long_exec_is_refused, step_exec, step_exec_is_refused);
	assert_int_equal(r->looking, 1);
	assert_int_equal(r->worded, 1);
	assert_string_equal(r->refused, "subsystem sf?tp;x11-req;");
	assert_false(r->over);
	rig_free(r);
}

/* "ssh ... </dev/null": no keys, but somebody still looks. */
static void test_no_keys_any_more(void **state)
{
	struct rig *r = rig_looking();

	STEPS(r, step_open, step_exec, step_eof);
	rig_run_ms(r, 20);
	assert_false(r->left);
	assert_true(secsh_node_say(r->node, STR("still here\n")));
	rig_shows(r, "still here\n");
	rig_free(r);
}

static void test_the_person_goes_and_another_comes(void **state)
{
	struct rig *r = rig_looking();

	STEPS(r, step_open, step_exec, step_close);
	rig_run(r, until_left);
	assert_false(secsh_node_say(r->node, STR("nobody looks\n")));
	rig_run(r, until_settled);
	r->left = false;
	r->peer->channel = NULL;
	STEPS(r, step_open, step_shell);
	assert_int_equal(r->looking, 2);
	assert_int_equal(r->worded, 2);
	assert_false(r->left);
	rig_free(r);
}

/* Nobody reads: what waits has an end, and is shown when somebody does. */
static void test_what_waits_has_an_end(void **state)
{
	static char line[1000];
	struct rig *r = rig_looking();
	size_t said = 0, bound = SECSH_SCREEN_MAX + 256 * 1024;

	STEPS(r, step_open, step_exec);
	r->is_blind = true;
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\n';
	while (secsh_node_say(r->node, (struct str){line, sizeof line}) && said < 10 * bound)
		said += sizeof line;
	assert_true(said >= SECSH_SCREEN_MAX - sizeof line);
	assert_true(said <= bound);
	rig_run_ms(r, 20);
	secsh_node_leave(r->node, 0); /* waits for the rest to go */
	assert_false(r->over);
	rig_free(r);
}

static void test_close_is_shown(void **state)
{
	struct rig *r = rig_looking();

	STEPS(r, step_open, step_exec);
	session_close(r->node, ERR_DISABLED, STR("switched off by an administrator"));
	r->node = NULL;
	rig_run(r, rig_is_gone);
	assert_string_equal(r->shown, "switched off by an administrator\n");
	assert_string_equal(r->gone_reason, "switched off by an administrator");
	rig_free(r);
}

static int step_open_second(struct rig_peer *p)
{
	if (p->second == NULL)
		p->second = ssh_channel_new(p->link.ssh);
	return ssh_channel_open_session(p->second);
}

/* Right behind the end of the one before, in one piece. */
static void test_another_one_follows(void **state)
{
	struct rig *r = rig_new();

	rig_run(r, rig_is_up);
	STEPS(r, step_open, step_shell);
	STEPS(r, step_close, step_open_second);
	assert_int_equal(r->looking, 2);
	assert_true(r->left); /* the first one has */
	assert_true(secsh_node_say(r->node, STR("well\n")));
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_command),
		cmocka_unit_test(test_a_shell_on_a_terminal),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_no_keys_any_more),
		cmocka_unit_test(test_the_person_goes_and_another_comes),
		cmocka_unit_test(test_what_waits_has_an_end),
		cmocka_unit_test(test_close_is_shown),
		cmocka_unit_test(test_another_one_follows),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
