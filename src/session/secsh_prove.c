/*
 * Logs in as ssh(1) does: first what needs no person, then what one has to type. Every call of
 * libssh here either has its answer or says "again"; the steps are kept so that it is called again
 * with the same arguments.
 */
#include "session/secsh_prove.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/show.h"

/* ---- what is shown to a person ---- */

static void say(const struct secsh_prove *l, const char *text)
{
	l->asks->say(l->asks->arg, text);
}

/* A server's text of several lines. */
static void say_lines(const struct secsh_prove *l, const char *text)
{
	struct str rest = str_of(text), line;
	char copy[1024];

	for (int n = 0; n < 100 && str_next(&rest, '\n', &line); n++) {
		show_line(copy, sizeof copy, line);
		if (copy[0] != '\0' || rest.p != NULL)
			say(l, copy);
	}
}

static void show_banner(struct secsh_prove *l, ssh_session ssh)
{
	char *banner = ssh_get_issue_banner(ssh);

	if (banner != NULL && (l->banner == NULL || strcmp(banner, l->banner) != 0)) {
		say_lines(l, banner);
		ssh_string_free_char(l->banner);
		l->banner = banner;
	} else {
		ssh_string_free_char(banner);
	}
}

static void add_tried(struct secsh_prove *l, const char *what)
{
	if (buf_printf(&l->tried, SESSION_REASON_MAX, "%s%s", l->tried.len > 0 ? ", " : "", what) !=
	    0)
		return; /* the list is long enough */
}

static void wipe(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

/* ---- asking ---- */

static void keep(struct secsh_prove *l, const char *prompt, const char *answer)
{
	struct secsh_secrets *s = l->secrets;
	size_t i = 0;

	while (i < SECSH_KEPT_MAX && s->kept[i].prompt != NULL &&
	       strcmp(s->kept[i].prompt, prompt) != 0)
		i++;
	if (i == SECSH_KEPT_MAX)
		return;
	free(s->kept[i].prompt);
	wipe(s->kept[i].answer);
	s->kept[i].prompt = str_dup(str_of(prompt));
	s->kept[i].answer = str_dup(str_of(answer));
	if (s->kept[i].prompt == NULL || s->kept[i].answer == NULL) {
		free(s->kept[i].prompt);
		wipe(s->kept[i].answer);
		s->kept[i].prompt = s->kept[i].answer = NULL;
		return;
	}
	l->used |= 1U << i;
}

/* The answer of an earlier login, once: if it was wrong this time, the person is asked. */
static bool recall(struct secsh_prove *l, const char *prompt, char out[SECSH_ANSWER_MAX])
{
	struct secsh_secrets *s = l->secrets;

	for (size_t i = 0; i < SECSH_KEPT_MAX; i++)
		if (s->kept[i].prompt != NULL && strcmp(s->kept[i].prompt, prompt) == 0 &&
		    !(l->used & 1U << i)) {
			l->used |= 1U << i;
			str_printf(out, SECSH_ANSWER_MAX, "%s", s->kept[i].answer);
			return true;
		}
	return false;
}

static int ask(struct secsh_prove *l, const char *prompt, bool echo, char out[SECSH_ANSWER_MAX])
{
	out[0] = '\0';
	if (l->is_alone || secsh_config_yes(&l->where->config, SECSH_O_BATCH, false))
		return ERR_DENIED;
	if (!echo && recall(l, prompt, out))
		return 0;
	if (l->asks->ask(l->asks->arg, prompt, echo, out, SECSH_ANSWER_MAX) != 0) {
		l->is_alone = true;
		return ERR_DENIED;
	}
	if (!echo)
		keep(l, prompt, out);
	return 0;
}

static unsigned prompts(const struct secsh_prove *l)
{
	return secsh_config_number(&l->where->config, SECSH_O_PROMPTS, SECSH_PROMPTS);
}

/* ---- key files ---- */

/* A passphrase that libssh wants. */
struct passphrase {
	struct secsh_prove *l;
	const char *file;
	bool was_asked, was_empty;
};

static int on_passphrase(const char *prompt, char *buf, size_t len, int echo, int verify, void *arg)
{
	struct passphrase *p = arg;
	char text[SECSH_LINE_MAX], answer[SECSH_ANSWER_MAX];
	int e;

	p->was_asked = true;
	if (prompts(p->l) == 0)
		return -1;
	str_printf(text, sizeof text, "Enter passphrase for key '%s': ", p->file);
	if ((e = ask(p->l, text, false, answer)) == 0) {
		p->was_empty = answer[0] == '\0';
		str_printf(buf, len, "%s", answer);
	}
	explicit_bzero(answer, sizeof answer);
	return e == 0 && !p->was_empty ? 0 : -1;
}

/* Whether a file may be what we log in with; ssh(1) refuses keys that others can read. */
static bool key_is_usable(struct secsh_prove *l, size_t i)
{
	const char *file = l->where->keys[i];
	char text[SECSH_WHY_TEXT];
	struct stat st;

	if (l->secrets->unusable[i])
		return false;
	if (l->secrets->keys[i] != NULL)
		return true;
	if (stat(file, &st) != 0)
		str_printf(text, sizeof text, "Warning: Identity file %s not accessible: %s.", file,
			   strerror(errno));
	else if (st.st_uid == getuid() && (st.st_mode & 077) != 0)
		str_printf(text, sizeof text,
			   "Permissions %04o for '%s' are too open: the key is ignored. "
			   "\"chmod 600\" makes it yours alone.",
			   (unsigned)(st.st_mode & 0777), file);
	else
		return true;
	l->secrets->unusable[i] = true;
	say(l, text);
	return false;
}

/* What of a key can be shown without opening it: its certificate; or FILE.pub, or the file's own
 * public half. */
static ssh_key key_public(const char *file, bool bare)
{
	char path[SECSH_LINE_MAX];
	ssh_key key = NULL;

	str_printf(path, sizeof path, "%s%s.pub", file, bare ? "" : "-cert");
	if (!bare)
		return ssh_pki_import_cert_file(path, &key) == SSH_OK ? key : NULL;
	if (ssh_pki_import_pubkey_file(path, &key) != SSH_OK &&
	    ssh_pki_import_pubkey_file(file, &key) != SSH_OK)
		return NULL;
	return key;
}

/* Open the private key, or know that it cannot be. */
static ssh_key key_private(struct secsh_prove *l, size_t i)
{
	struct secsh_secrets *s = l->secrets;
	struct passphrase p = {.l = l, .file = l->where->keys[i]};
	char text[SECSH_WHY_TEXT];
	ssh_key key = NULL;

	/* once at least: most keys have no passphrase */
	for (unsigned n = 0; s->keys[i] == NULL && n < MAX(prompts(l), 1); n++) {
		p.was_asked = p.was_empty = false;
		if (ssh_pki_import_privkey_file(p.file, NULL, on_passphrase, &p, &key) == SSH_OK) {
			MOVE(s->keys[i], key);
			break;
		}
		if (!p.was_asked) {
			str_printf(text, sizeof text,
				   "Load key \"%s\": not a key that is understood", p.file);
			s->unusable[i] = true;
			say(l, text);
		}
		if (!p.was_asked || p.was_empty || l->is_alone)
			break;
	}
	return s->keys[i];
}

static void key_done(struct secsh_prove *l)
{
	SSH_KEY_FREE(l->offered);
	SSH_KEY_FREE(l->signer);
	l->i_key += l->is_bare;
	l->is_bare = !l->is_bare;
}

/* The key that signs: a copy, since a certificate would stay in the one that is kept. */
static ssh_key key_signer(struct secsh_prove *l)
{
	ssh_key kept = key_private(l, l->i_key), key = kept == NULL ? NULL : ssh_key_dup(kept);

	if (key != NULL && !l->is_bare && ssh_pki_copy_cert_to_privkey(l->offered, key) != SSH_OK)
		SSH_KEY_FREE(key);
	return key;
}

/* Show key i_key to the server; if it is wanted, sign. */
static int key_try(struct secsh_prove *l, ssh_session ssh)
{
	int rc;

	if (l->signer != NULL)
		return ssh_userauth_publickey(ssh, NULL, l->signer);
	if (l->offered == NULL) {
		if (!key_is_usable(l, l->i_key))
			return SSH_AUTH_DENIED;
		l->offered = key_public(l->where->keys[l->i_key], l->is_bare);
		if (l->offered == NULL && !l->is_bare)
			return SSH_AUTH_DENIED; /* there is no certificate */
		if (l->is_bare)
			add_tried(l, l->where->keys[l->i_key]);
	}
	if (l->offered != NULL &&
	    (rc = ssh_userauth_try_publickey(ssh, NULL, l->offered)) != SSH_AUTH_SUCCESS)
		return rc;
	if ((l->signer = key_signer(l)) == NULL)
		return SSH_AUTH_DENIED;
	return ssh_userauth_publickey(ssh, NULL, l->signer);
}

static int step_keys(struct secsh_prove *l, ssh_session ssh)
{
	int rc;

	while (l->i_key < l->where->n_keys) {
		rc = key_try(l, ssh);
		if (rc == SSH_AUTH_AGAIN || rc == SSH_AUTH_SUCCESS)
			return rc;
		key_done(l);
		if (rc != SSH_AUTH_DENIED)
			return rc;
	}
	return SSH_AUTH_DENIED;
}

/* ---- the agent ---- */

static bool has_agent(const struct secsh_prove *l)
{
	const struct secsh_config *c = &l->where->config;
	const char *at = secsh_config_text(c, SECSH_O_IDENTITY_AGENT, "SSH_AUTH_SOCK");

	/* libssh cannot be told which of its keys to use */
	if (secsh_config_yes(c, SECSH_O_IDENTITIES_ONLY, false) || strcmp(at, "none") == 0)
		return false;
	return strcmp(at, "SSH_AUTH_SOCK") != 0 || getenv("SSH_AUTH_SOCK") != NULL;
}

static int step_agent(struct secsh_prove *l, ssh_session ssh)
{
	if (!has_agent(l))
		return SSH_AUTH_DENIED;
	if (!l->has_tried)
		add_tried(l, "the keys of the agent");
	l->has_tried = true;
	return ssh_userauth_agent(ssh, NULL);
}

/* ---- what a person types ---- */

static int answer_questions(struct secsh_prove *l, ssh_session ssh)
{
	const char *text = ssh_userauth_kbdint_getinstruction(ssh);
	char prompt[SECSH_LINE_MAX], answer[SECSH_ANSWER_MAX];
	int n = ssh_userauth_kbdint_getnprompts(ssh), e = 0;
	size_t len;

	if (text != NULL && text[0] != '\0')
		say_lines(l, text);
	for (int i = 0; e == 0 && i < n; i++) {
		char echo = 0;

		text = ssh_userauth_kbdint_getprompt(ssh, (unsigned)i, &echo);
		len = str_printf(prompt, sizeof prompt, "(%s@%s) ", l->where->user,
				 l->where->typed);
		show_line(prompt + len, sizeof prompt - len, str_of(text));
		if ((e = ask(l, prompt, echo != 0, answer)) == 0 &&
		    ssh_userauth_kbdint_setanswer(ssh, (unsigned)i, answer) < 0)
			e = ERR_NOMEM;
		explicit_bzero(answer, sizeof answer);
	}
	return e;
}

static int step_questions(struct secsh_prove *l, ssh_session ssh)
{
	int rc;

	if (!l->has_tried)
		add_tried(l, "its questions");
	l->has_tried = true;
	while ((rc = ssh_userauth_kbdint(ssh, NULL, NULL)) == SSH_AUTH_INFO) {
		if (++l->rounds > SECSH_ROUNDS_MAX || answer_questions(l, ssh) != 0)
			return SSH_AUTH_DENIED;
		l->has_answered = true;
	}
	if (rc != SSH_AUTH_DENIED || !l->has_answered || ++l->refused >= prompts(l))
		return rc;
	l->has_answered = false;
	return step_questions(l, ssh);
}

static int step_password(struct secsh_prove *l, ssh_session ssh)
{
	char prompt[SECSH_LINE_MAX], answer[SECSH_ANSWER_MAX];
	int rc = SSH_AUTH_DENIED;

	str_printf(prompt, sizeof prompt, "%s@%s's password: ", l->where->user, l->where->typed);
	while (l->refused < prompts(l)) {
		if (l->password == NULL) {
			if (ask(l, prompt, false, answer) != 0)
				return SSH_AUTH_DENIED;
			l->password = str_dup(str_of(answer));
			explicit_bzero(answer, sizeof answer);
			if (l->password == NULL)
				return SSH_AUTH_ERROR;
		}
		if (!l->has_tried)
			add_tried(l, "a password");
		l->has_tried = true;
		if ((rc = ssh_userauth_password(ssh, NULL, l->password)) == SSH_AUTH_AGAIN)
			return rc;
		wipe(l->password);
		l->password = NULL;
		if (rc != SSH_AUTH_DENIED)
			return rc;
		if (++l->refused < prompts(l))
			say(l, "Permission denied, please try again.");
	}
	return rc;
}

/* ---- the whole ---- */

/* What each step is for the server, and which option switches it off. */
static const struct {
	int method;
	enum secsh_option by;
	int (*fn)(struct secsh_prove *l, ssh_session ssh);
} steps[SECSH_STEP_END] = {
	[SECSH_STEP_AGENT] = {SSH_AUTH_METHOD_PUBLICKEY, SECSH_O_BY_KEY, step_agent},
	[SECSH_STEP_KEYS] = {SSH_AUTH_METHOD_PUBLICKEY, SECSH_O_BY_KEY, step_keys},
	[SECSH_STEP_QUESTIONS] = {SSH_AUTH_METHOD_INTERACTIVE, SECSH_O_BY_QUESTIONS,
				  step_questions},
	[SECSH_STEP_PASSWORD] = {SSH_AUTH_METHOD_PASSWORD, SECSH_O_BY_PASSWORD, step_password},
};

static int try_step(struct secsh_prove *l, ssh_session ssh)
{
	const struct secsh_config *c = &l->where->config;

	if (l->step == SECSH_STEP_NONE)
		return ssh_userauth_none(ssh, NULL);
	if (!(ssh_userauth_list(ssh, NULL) & steps[l->step].method) ||
	    !secsh_config_yes(c, steps[l->step].by, true) ||
	    (l->step >= SECSH_STEP_QUESTIONS && secsh_config_yes(c, SECSH_O_BATCH, false)))
		return SSH_AUTH_DENIED;
	return steps[l->step].fn(l, ssh);
}

static int give_up(struct secsh_prove *l, ssh_session ssh, char why[SESSION_REASON_MAX])
{
	static const struct {
		int bit;
		const char *name;
	} methods[] = {{SSH_AUTH_METHOD_PUBLICKEY, "publickey"},
		       {SSH_AUTH_METHOD_HOSTBASED, "hostbased"},
		       {SSH_AUTH_METHOD_GSSAPI_MIC, "gssapi-with-mic"},
		       {SSH_AUTH_METHOD_INTERACTIVE, "keyboard-interactive"},
		       {SSH_AUTH_METHOD_PASSWORD, "password"}};
	int wants = ssh_userauth_list(ssh, NULL);
	size_t len = str_printf(why, SESSION_REASON_MAX, "%s@%s: Permission denied (",
				l->where->user, l->where->typed);
	const char *comma = "";

	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (wants & methods[i].bit) {
			len += str_printf(why + len, SESSION_REASON_MAX - len, "%s%s", comma,
					  methods[i].name);
			comma = ",";
		}
	str_printf(why + len, SESSION_REASON_MAX - len, "); tried: " STR_FMT,
		   l->tried.len > 0 ? (int)l->tried.len : 7,
		   l->tried.len > 0 ? buf_str(&l->tried).p : "nothing");
	return ERR_AUTH;
}

/*
 * Has the server had enough of our keys? RFC 4253 11.1 has codes for that, and sshd takes 2 for it;
 * whoever has but one code for everything says it in words. A server that is stopping has not.
 */
static bool means_never(struct str code, struct str text)
{
	static const char *const codes[] = {"2", "14", "15"};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (str_eq(code, str_of(codes[i])))
			return true;
	text = str_trim(text);
	text.len = MIN(text.len, 8);
	return str_eq_nocase(text, STR("too many"));
}

/* The server has gone in the middle of it. */
static int gone(struct secsh_prove *l, ssh_session ssh, char why[SESSION_REASON_MAX])
{
	struct str text = str_of(ssh_get_error(ssh)), said = STR("Received SSH_MSG_DISCONNECT: "),
		   code = {NULL, 0};

	if (str_starts(text, said)) {
		text = (struct str){text.p + said.len, text.len - said.len};
		(void)str_next(&text, ':', &code);
	}
	show_line(why, SESSION_REASON_MAX, text);
	return code.len > 0 && l->tried.len > 0 && means_never(code, text) ? ERR_AUTH : ERR_CLOSED;
}

int secsh_prove_step(struct secsh_prove *l, ssh_session ssh, char why[SESSION_REASON_MAX])
{
	while (l->step < SECSH_STEP_END) {
		int rc = try_step(l, ssh);

		show_banner(l, ssh);
		if (rc == SSH_AUTH_SUCCESS)
			return 0;
		if (!ssh_is_connected(ssh) ||
		    (ssh_get_status(ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR)) != 0)
			return gone(l, ssh, why); /* also when libssh still says "again" */
		if (rc == SSH_AUTH_AGAIN)
			return ERR_AGAIN;
		/* half is not enough, or one key has led to nothing: so try those behind it */
		if (l->step == SECSH_STEP_KEYS && rc != SSH_AUTH_DENIED &&
		    l->i_key < l->where->n_keys)
			continue;
		l->step++;
		l->has_tried = l->has_answered = false;
		l->refused = 0;
	}
	return give_up(l, ssh, why);
}

void secsh_prove_free(struct secsh_prove *l)
{
	SSH_KEY_FREE(l->offered);
	SSH_KEY_FREE(l->signer);
	wipe(l->password);
	ssh_string_free_char(l->banner);
	buf_free(&l->tried);
	l->password = l->banner = NULL;
}

void secsh_secrets_free(struct secsh_secrets *s)
{
	for (size_t i = 0; i < SECSH_IDENTITIES_MAX; i++)
		ssh_key_free(s->keys[i]);
	for (size_t i = 0; i < SECSH_KEPT_MAX; i++) {
		free(s->kept[i].prompt);
		wipe(s->kept[i].answer);
	}
	*s = (struct secsh_secrets){0};
}
