/*
 * Reads known_hosts line by line: libssh understands one line, but of whole files it reads only
 * two, stops at the first line it does not understand, and passes over "@revoked".
 */
#include "session/secsh_known.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a server may be asked for, the ones we like best first; RSA only with SHA-2. */
static const struct {
	enum ssh_keytypes_e type;
	const char *name;
} kinds[] = {
	{SSH_KEYTYPE_ED25519, "ssh-ed25519"},
	{SSH_KEYTYPE_ECDSA_P256, "ecdsa-sha2-nistp256"},
	{SSH_KEYTYPE_ECDSA_P384, "ecdsa-sha2-nistp384"},
	{SSH_KEYTYPE_ECDSA_P521, "ecdsa-sha2-nistp521"},
	{SSH_KEYTYPE_RSA, "rsa-sha2-512"},
	{SSH_KEYTYPE_RSA, "rsa-sha2-256"},
};

/* ---- reading ---- */

/* One line that is about our host. */
struct entry {
	ssh_key key; /* borrowed for the call */
	bool revoked;
	const char *file;
	unsigned line;
};

typedef void (*on_entry_fn)(void *arg, const struct entry *e);

static void read_line(const char *name, char *text, struct entry *e, on_entry_fn fn, void *arg)
{
	struct ssh_knownhosts_entry *known = NULL;

	for (char *tab = text; (tab = strchr(tab, '\t')) != NULL;)
		*tab = ' '; /* libssh knows only blanks */
	text += strspn(text, " ");
	e->revoked = strncmp(text, "@revoked ", 9) == 0;
	if (e->revoked)
		text += 9 + strspn(text + 9, " ");
	/* a "@cert-authority" vouches for certificates, which libssh does not ask for */
	if (*text == '\0' || *text == '#' || *text == '@')
		return;
	if (ssh_known_hosts_parse_line(name, text, &known) != SSH_OK)
		return;
	e->key = known->publickey;
	fn(arg, e);
	SSH_KNOWNHOSTS_ENTRY_FREE(known);
}

static void read_file(const char *name, const char *path, on_entry_fn fn, void *arg)
{
	struct entry e = {.file = path};
	char text[SECSH_LINE_MAX];
	FILE *f = fopen(path, "re");
	bool whole = true;

	if (f == NULL)
		return;
	while (fgets(text, sizeof text, f) != NULL) {
		size_t len = strcspn(text, "\r\n");
		bool begins = whole;

		whole = text[len] != '\0' || feof(f);
		text[len] = '\0';
		e.line += begins;
		if (begins && whole)
			read_line(name, text, &e, fn, arg);
	}
	fclose(f);
}

/* How the files call the host: as ssh(1) writes it. */
static void known_as(const struct secsh_where *w, bool port, char *out, size_t cap)
{
	if (w->alias != NULL)
		str_printf(out, cap, "%s", w->alias);
	else if (port && w->port != 22)
		str_printf(out, cap, "[%s]:%u", w->host, w->port);
	else
		str_printf(out, cap, "%s", w->host);
}

static void read_all(const struct secsh_where *w, bool port, on_entry_fn fn, void *arg)
{
	char name[SECSH_LINE_MAX];

	known_as(w, port, name, sizeof name);
	for (size_t i = 0; i < w->n_known; i++)
		read_file(name, w->known[i], fn, arg);
}

/* ---- finding ---- */

struct search {
	ssh_key key;
	struct secsh_finding *out;
};

static void search_on_entry(void *arg, const struct entry *e)
{
	struct search *s = arg;
	struct secsh_finding *f = s->out;
	bool same = ssh_key_cmp(e->key, s->key, SSH_KEY_CMP_PUBLIC) == 0;
	enum secsh_trust trust;

	if (e->revoked && !same)
		return;
	if (!same && ssh_key_type(e->key) != ssh_key_type(s->key)) {
		f->others = true;
		return;
	}
	trust = e->revoked ? SECSH_REVOKED : same ? SECSH_KNOWN : SECSH_CHANGED;
	if (f->trust == SECSH_REVOKED || (f->trust == SECSH_KNOWN && trust == SECSH_CHANGED) ||
	    (f->trust == SECSH_CHANGED && trust == SECSH_CHANGED))
		return;
	f->trust = trust;
	f->file = e->file;
	f->line = e->line;
}

void secsh_known_find(const struct secsh_where *w, ssh_key key, struct secsh_finding *out)
{
	struct secsh_finding plain = {.trust = SECSH_NEW};
	struct search s = {.key = key, .out = out};

	*out = (struct secsh_finding){.trust = SECSH_NEW};
	read_all(w, true, search_on_entry, &s);
	if (out->trust != SECSH_NEW || w->alias != NULL || w->port == 22)
		return;
	/* the same key, written down for another port of that host, is as good; ssh(1) has it so */
	s.out = &plain;
	read_all(w, false, search_on_entry, &s);
	if (plain.trust == SECSH_KNOWN || plain.trust == SECSH_REVOKED)
		*out = plain;
}

static void kinds_on_entry(void *arg, const struct entry *e)
{
	bool *known = arg;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!e->revoked && kinds[i].type == ssh_key_type(e->key))
			known[i] = true;
}

void secsh_known_kinds(const struct secsh_where *w, char out[SECSH_KINDS_TEXT])
{
	bool known[ARRAY_LEN(kinds)] = {false};
	size_t len = 0;

	read_all(w, true, kinds_on_entry, known);
	for (int turn = 1; turn >= 0; turn--)
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
			if (known[i] == turn)
				len += str_printf(out + len, SECSH_KINDS_TEXT - len, "%s%s",
						  len > 0 ? "," : "", kinds[i].name);
}

/* ---- writing ---- */

/* Make the directory of a file, as ssh(1) makes ~/.ssh. */
static void make_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[SECSH_LINE_MAX];

	if (slash == NULL || slash == path ||
	    str_copy(dir, sizeof dir, (struct str){path, (size_t)(slash - path)}) != 0)
		return;
	(void)mkdir(dir, 0700); /* if it fails, so will open() */
}

static int write_line(const char *path, struct str line)
{
	int fd, e = 0;
	char last = '\n';
	off_t end;

	make_dir(path);
	if ((fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) < 0)
		return err_from_errno(errno);
	end = lseek(fd, 0, SEEK_END);
	if (end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n' && write(fd, "\n", 1) != 1)
		e = ERR_IO;
	if (e == 0 && write(fd, line.p, line.len) != (ssize_t)line.len)
		e = ERR_IO;
	close(fd);
	return e;
}

int secsh_known_add(const struct secsh_where *w, ssh_key key)
{
	char name[SECSH_LINE_MAX], *base64 = NULL;
	struct buf line = {0};
	int e;

	if (w->n_known_ours == 0)
		return ERR_NOTFOUND;
	known_as(w, true, name, sizeof name);
	if (ssh_pki_export_pubkey_base64(key, &base64) != SSH_OK)
		return ERR_NOMEM;
	e = buf_printf(&line, 2 * SECSH_LINE_MAX, "%s %s %s\n", name,
		       ssh_key_type_to_char(ssh_key_type(key)), base64);
	if (e == 0)
		e = write_line(w->known[0], buf_str(&line));
	buf_free(&line);
	ssh_string_free_char(base64);
	return e;
}

/* ---- the talk with the person ---- */

/* What the talk is about. */
struct talk {
	const struct secsh_where *w;
	const struct secsh_agent_asks *asks;
	ssh_key key;
	const char *kind; /* "ED25519" */
	char name[256];	  /* "[host]:port" */
	char *print;	  /* owned: "SHA256:..." */
	struct secsh_finding found;
	bool was_another; /* it has shown another key of that kind to this process */
	char *why;
};

PRINTF_LIKE(2, 3) static void say(const struct talk *t, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	t->asks->say(t->asks->arg, text);
}

static const char *kind_name(ssh_key key)
{
	switch (ssh_key_type(key)) {
	case SSH_KEYTYPE_ED25519: return "ED25519";
	case SSH_KEYTYPE_ECDSA_P256:
	case SSH_KEYTYPE_ECDSA_P384:
	case SSH_KEYTYPE_ECDSA_P521: return "ECDSA";
	case SSH_KEYTYPE_RSA: return "RSA";
	default: return ssh_key_type_to_char(ssh_key_type(key));
	}
}

static int write_down(const struct talk *t)
{
	int e = secsh_known_add(t->w, t->key);

	if (e == 0)
		say(t, "Warning: Permanently added '%s' (%s) to the list of known hosts.", t->name,
		    t->kind);
	else if (e != ERR_NOTFOUND)
		say(t, "Failed to add the host to the list of known hosts (%s): %s.",
		    t->w->known[0], err_text(e));
	return 0;
}

/* All in one prompt: what is said goes elsewhere, or nowhere when it shall be quiet. */
static int ask_person(const struct talk *t)
{
	char question[1024], answer[128];
	const char *prompt = question;

	str_printf(question, sizeof question,
		   "The authenticity of host '%s' can't be established%s\n"
		   "%s key fingerprint is %s.\n"
		   "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
		   t->name,
		   t->found.others ? "\nbut keys of different type are already known for this host."
				   : ".",
		   t->kind, t->print);
	while (t->asks->ask(t->asks->arg, prompt, true, answer, sizeof answer) == 0) {
		struct str a = str_trim(str_of(answer));

		if (str_eq_nocase(a, STR("yes")) || str_eq(a, str_of(t->print)))
			return write_down(t);
		if (a.len == 0 || str_eq_nocase(a, STR("no"))) {
			str_printf(t->why, SECSH_WHY_TEXT, "Host key verification failed.");
			return ERR_CERT;
		}
		prompt = "Please type 'yes', 'no' or the fingerprint: ";
	}
	str_printf(t->why, SECSH_WHY_TEXT,
		   "The %s host key of %s, %s, is not known, and nobody could be asked. "
		   "Host key verification failed.",
		   t->kind, t->name, t->print);
	return ERR_CERT;
}

static int judge_new(const struct talk *t)
{
	bool batch = secsh_config_yes(&t->w->config, SECSH_O_BATCH, false);

	if (t->was_another && t->w->strict != SECSH_STRICT_NO) {
		str_printf(t->why, SECSH_WHY_TEXT,
			   "Host key for %s is not the one that was accepted before, now %s key "
			   "%s. Host key verification failed.",
			   t->name, t->kind, t->print);
		return ERR_CERT;
	}
	if (t->w->strict == SECSH_STRICT_NEW || t->w->strict == SECSH_STRICT_NO)
		return write_down(t);
	if (t->w->strict == SECSH_STRICT_ASK && !batch)
		return ask_person(t);
	str_printf(t->why, SECSH_WHY_TEXT,
		   "No %s host key is known for %s and you have requested strict checking. "
		   "Host key verification failed.",
		   t->kind, t->name);
	return ERR_CERT;
}

static void shout(const struct talk *t, const char *what)
{
	const char *frame = "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@";

	say(t, "%s", frame);
	say(t, "@%*s%s%*s@", (int)(57 - strlen(what)) / 2, "", what, (int)(58 - strlen(what)) / 2,
	    "");
	say(t, "%s", frame);
}

/* Even where checking is off, ssh(1) forwards nothing for such a host, and that is all we do. */
static int judge_changed(const struct talk *t)
{
	shout(t, "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!");
	say(t, "IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!");
	say(t, "Someone could be eavesdropping on you right now (man-in-the-middle attack)!");
	say(t, "It is also possible that a host key has just been changed.");
	say(t, "The fingerprint for the %s key sent by the remote host is", t->kind);
	say(t, "%s.", t->print);
	say(t, "Please contact your system administrator.");
	say(t, "Add correct host key in %s to get rid of this message.",
	    t->w->n_known_ours > 0 ? t->w->known[0] : "known_hosts");
	say(t, "Offending %s key in %s:%u", t->kind, t->found.file, t->found.line);
	str_printf(t->why, SECSH_WHY_TEXT, "Host key for %s has changed. %s", t->name,
		   "Host key verification failed.");
	return ERR_CERT;
}

static int judge_revoked(const struct talk *t)
{
	shout(t, "WARNING: REVOKED HOST KEY DETECTED!");
	say(t, "The %s host key for %s is marked as revoked.", t->kind, t->name);
	say(t, "This could mean that a stolen key is being used to impersonate this host.");
	say(t, "Revoked %s key in %s:%u", t->kind, t->found.file, t->found.line);
	str_printf(t->why, SECSH_WHY_TEXT, "Host key for %s was revoked. %s", t->name,
		   "Host key verification failed.");
	return ERR_CERT;
}

int secsh_known_judge(const struct secsh_where *w, const struct secsh_agent_asks *asks,
		      ssh_key before, ssh_key key, char why[SECSH_WHY_TEXT])
{
	struct talk t = {.w = w, .asks = asks, .key = key, .kind = kind_name(key), .why = why};
	unsigned char *hash = NULL;
	size_t len;
	int e = ERR_CERT;

	str_printf(why, SECSH_WHY_TEXT, "the host's key cannot be understood");
	if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &len) != 0)
		return ERR_CERT;
	if ((t.print = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, len)) == NULL)
		goto out;
	t.was_another = before != NULL && ssh_key_type(before) == ssh_key_type(key) &&
			ssh_key_cmp(before, key, SSH_KEY_CMP_PUBLIC) != 0;
	known_as(w, true, t.name, sizeof t.name);
	secsh_known_find(w, key, &t.found);
	switch (t.found.trust) {
	case SECSH_KNOWN: e = 0; break;
	case SECSH_NEW: e = judge_new(&t); break;
	case SECSH_CHANGED: e = judge_changed(&t); break;
	case SECSH_REVOKED: e = judge_revoked(&t); break;
	}
out:
	ssh_clean_pubkey_hash(&hash);
	ssh_string_free_char(t.print);
	return e;
}
