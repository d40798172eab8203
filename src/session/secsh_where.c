/*
 * Puts together what was typed and what the configuration says. Names that end up in a command for
 * the shell (ProxyJump, ProxyCommand) are checked here: no host may be "$(rm -rf ~)".
 */
#include "session/secsh_where.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"

/* ---- tokens ---- */

/* What a token of ssh_config(5), TOKENS, stands for; NULL: there is no such token. */
static const char *token(const struct secsh_where *w, char c, char scratch[64])
{
	switch (c) {
	case '%': return "%";
	case 'd': return w->config.home;
	case 'h': return w->host != NULL ? w->host : w->typed;
	case 'k': return w->alias != NULL ? w->alias : w->typed;
	case 'n': return w->typed;
	case 'r': return w->user;
	case 'u': return w->config.login;
	case 'i': str_printf(scratch, 64, "%u", (unsigned)getuid()); return scratch;
	case 'p': str_printf(scratch, 64, "%u", w->port); return scratch;
	case 'l':
	case 'L':
		if (gethostname(scratch, 64) != 0)
			return NULL;
		scratch[63] = '\0';
		if (c == 'L')
			scratch[strcspn(scratch, ".")] = '\0';
		return scratch;
	default: return NULL;
	}
}

static int fill_in(const struct secsh_where *w, struct str text, char **out,
		   char why[SECSH_WHY_TEXT])
{
	char scratch[64];
	struct buf b = {0};
	const char *is;
	int e = 0;

	for (size_t i = 0; e == 0 && i < text.len; i++) {
		if (text.p[i] != '%' || i + 1 == text.len) {
			e = buf_add(&b, &text.p[i], 1, SECSH_LINE_MAX);
		} else if ((is = token(w, text.p[++i], scratch)) != NULL) {
			e = buf_add(&b, is, strlen(is), SECSH_LINE_MAX);
		} else {
			str_printf(why, SECSH_WHY_TEXT, "\"" STR_FMT "\": %%%c is not known",
				   STR_ARG(text), text.p[i]);
			e = ERR_INVAL;
		}
	}
	if (e == 0 && (*out = str_dup(buf_str(&b))) == NULL)
		e = ERR_NOMEM;
	if (e == ERR_TOOBIG) {
		str_printf(why, SECSH_WHY_TEXT, "\"" STR_FMT "\" is too long", STR_ARG(text));
		e = ERR_INVAL;
	}
	buf_free(&b);
	return e;
}

/* A file's name: tokens, and "~/" for the person's directory. */
static int fill_in_path(const struct secsh_where *w, struct str text, char **out,
			char why[SECSH_WHY_TEXT])
{
	char *home = NULL;
	struct buf b = {0};
	int e = 0;

	if (!str_starts(text, STR("~/")))
		return fill_in(w, text, out, why);
	if ((e = fill_in(w, (struct str){text.p + 1, text.len - 1}, &home, why)) != 0)
		return e;
	if ((e = buf_printf(&b, SECSH_LINE_MAX, "%s%s", w->config.home, home)) == 0 &&
	    (*out = str_dup(buf_str(&b))) == NULL)
		e = ERR_NOMEM;
	free(home);
	buf_free(&b);
	return e == ERR_TOOBIG ? ERR_INVAL : e;
}

/* ---- host, user, port ---- */

/* A name or address that means nothing to a shell, and is not taken for an option. */
static bool is_plain_host(const char *s)
{
	return s[0] != '-' && s[0] != '\0' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:%-") ==
		       strlen(s);
}

/* As ssh(1) has it: what a shell would take for more than a name is none. Of a host that was typed,
 * too, which HostName may turn into another. */
static bool is_plain_user(const char *s)
{
	return s[0] != '-' && s[0] != '\0' && strpbrk(s, "'`\";&<>|(){}$\\\n\r\t ") == NULL;
}

static void lower(char *s)
{
	for (; *s != '\0'; s++)
		*s = ascii_lower(*s);
}

/* What was typed may stand in a command as well, by %n and %k, whatever HostName makes of it. */
static int check_typed(const struct secsh_where *w, char why[SECSH_WHY_TEXT])
{
	if (is_plain_user(w->typed))
		return 0;
	str_printf(why, SECSH_WHY_TEXT, "\"%s\" is not the name of a host", w->typed);
	return ERR_INVAL;
}

static int find_host(struct secsh_where *w, const struct secsh_agent_where *said,
		     char why[SECSH_WHY_TEXT])
{
	const struct secsh_config *c = &w->config;
	const char *name = secsh_config_text(c, SECSH_O_HOST_NAME, "%h"), *user = said->user;
	char *host = NULL;
	int e;

	if ((e = fill_in(w, str_of(name), &host, why)) != 0)
		return e;
	MOVE(w->host, host);
	lower(w->host);
	if (!is_plain_host(w->host)) {
		str_printf(why, SECSH_WHY_TEXT, "\"%s\" is not the name of a host", w->host);
		return ERR_INVAL;
	}
	if (user == NULL)
		user = secsh_config_text(c, SECSH_O_USER, c->login);
	if ((w->user = str_dup(str_of(user))) == NULL)
		return ERR_NOMEM;
	w->port = said->port != 0 ? said->port : (uint16_t)secsh_config_number(c, SECSH_O_PORT, 22);
	if (c->values[SECSH_O_HOST_KEY_ALIAS] == NULL)
		return 0;
	if ((w->alias = str_dup(str_of(c->values[SECSH_O_HOST_KEY_ALIAS]))) == NULL)
		return ERR_NOMEM;
	lower(w->alias);
	return 0;
}

/* ---- files ---- */

/* Keys that ssh(1) tries when nobody says which; the ones that are there. */
static int find_usual_keys(struct secsh_where *w, char why[SECSH_WHY_TEXT])
{
	static const char *const usual[] = {"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa",
					    "~/.ssh/id_rsa"};
	int e = 0;

	for (size_t i = 0; e == 0 && i < ARRAY_LEN(usual); i++) {
		e = fill_in_path(w, str_of(usual[i]), &w->keys[w->n_keys], why);
		if (e == 0 && access(w->keys[w->n_keys], F_OK) == 0)
			w->n_keys++;
		else if (e == 0)
			free(w->keys[w->n_keys]);
	}
	if (w->n_keys < SECSH_IDENTITIES_MAX)
		w->keys[w->n_keys] = NULL;
	return e;
}

static int find_keys(struct secsh_where *w, char why[SECSH_WHY_TEXT])
{
	const struct secsh_config *c = &w->config;
	int e = 0;

	w->keys_were_said = c->n_files > 0;
	if (!w->keys_were_said)
		return find_usual_keys(w, why);
	for (size_t i = 0; e == 0 && i < c->n_files; i++) {
		if (strcmp(c->files[i], "none") == 0)
			continue;
		if ((e = fill_in_path(w, str_of(c->files[i]), &w->keys[w->n_keys], why)) == 0)
			w->n_keys++;
	}
	return e;
}

static int find_known(struct secsh_where *w, enum secsh_option o, const char *usual,
		      char why[SECSH_WHY_TEXT])
{
	struct str rest = str_of(secsh_config_text(&w->config, o, usual)), name;
	int e = 0;

	while (e == 0 && secsh_config_word(&rest, &name)) {
		if (str_eq(name, STR("none")))
			continue;
		if (w->n_known == SECSH_KNOWN_MAX) {
			str_printf(why, SECSH_WHY_TEXT, "too many files of known hosts");
			return ERR_INVAL;
		}
		if ((e = fill_in_path(w, name, &w->known[w->n_known], why)) == 0)
			w->n_known++;
	}
	return e;
}

static enum secsh_strict find_strict(const struct secsh_config *c)
{
	struct str v = str_of(c->values[SECSH_O_STRICT]);

	if (str_eq_nocase(v, STR("yes")))
		return SECSH_STRICT_YES;
	if (str_eq_nocase(v, STR("accept-new")))
		return SECSH_STRICT_NEW;
	if (str_eq_nocase(v, STR("no")) || str_eq_nocase(v, STR("off")))
		return SECSH_STRICT_NO;
	return SECSH_STRICT_ASK;
}

/* ---- proxies ---- */

/* "[user@]host[:port]" or "ssh://..." of a ProxyJump. */
static int jump_to(struct buf *b, struct str hop)
{
	char user[256] = "", host[256], port[16] = "";
	struct str s = hop;
	uint64_t n = 22;
	size_t at = s.len, end;

	if (str_starts(s, STR("ssh://")))
		s = (struct str){s.p + 6, s.len - 6};
	for (at = s.len; at > 0 && s.p[at - 1] != '@'; at--)
		;
	if (at > 0 &&
	    (str_copy(user, sizeof user, (struct str){s.p, at - 1}) != 0 || !is_plain_user(user)))
		return ERR_INVAL;
	s = (struct str){s.p + at, s.len - at};
	end = s.len > 0 && s.p[0] == '[' ? str_find(s, ']') : str_find(s, ':');
	if (s.len > 0 && s.p[0] == '[' && end == s.len)
		return ERR_INVAL;
	at = s.len > 0 && s.p[0] == '[';
	if (str_copy(host, sizeof host, (struct str){s.p + at, end - at}) != 0 ||
	    !is_plain_host(host))
		return ERR_INVAL;
	s = (struct str){s.p + end + at, s.len - end - at};
	if (s.len > 0 && (s.p[0] != ':' ||
			  num_parse((struct str){s.p + 1, s.len - 1}, 65535, &n) != 0 || n == 0))
		return ERR_INVAL;
	if (s.len > 0)
		str_printf(port, sizeof port, " -p %u", (unsigned)n);
	return buf_printf(b, SECSH_LINE_MAX, "%s%s%s %s", user[0] != '\0' ? " -l " : "", user, port,
			  host);
}

/* As ssh(1) does it: an ssh to the last hop but us, which goes through all those before it. */
static int find_jump(struct secsh_where *w, struct str hops, char why[SECSH_WHY_TEXT])
{
	struct buf b = {0}, checked = {0};
	struct str rest = hops, hop, last = hops;
	size_t before;
	int e = 0;

	while (e == 0 && str_next(&rest, ',', &hop)) {
		last = hop;
		buf_take(&checked, checked.len);
		e = jump_to(&checked, str_trim(hop));
	}
	before = (size_t)(last.p - hops.p);
	if (e == 0 && before > 0)
		e = buf_printf(&b, SECSH_LINE_MAX, "ssh -J '" STR_FMT "' -W '[%s]:%u'" STR_FMT,
			       (int)before - 1, hops.p, w->host, w->port,
			       STR_ARG(buf_str(&checked)));
	else if (e == 0)
		e = buf_printf(&b, SECSH_LINE_MAX, "ssh -W '[%s]:%u'" STR_FMT, w->host, w->port,
			       STR_ARG(buf_str(&checked)));
	if (e == 0 && (w->proxy = str_dup(buf_str(&b))) == NULL)
		e = ERR_NOMEM;
	if (e == ERR_INVAL || e == ERR_TOOBIG) {
		str_printf(why, SECSH_WHY_TEXT,
			   "ProxyJump: \"" STR_FMT "\" is not [user@]host[:port],...",
			   STR_ARG(hops));
		e = ERR_INVAL;
	}
	buf_free(&checked);
	buf_free(&b);
	return e;
}

static int find_proxy(struct secsh_where *w, char why[SECSH_WHY_TEXT])
{
	struct str jump = str_of(w->config.values[SECSH_O_PROXY_JUMP]);
	struct str command = str_of(w->config.values[SECSH_O_PROXY_COMMAND]);

	/* ssh_config(5): whichever comes first counts; here ProxyJump counts if both are said */
	if (jump.len > 0 && !str_eq_nocase(jump, STR("none")))
		return find_jump(w, jump, why);
	if (command.len == 0 || str_eq_nocase(command, STR("none")))
		return 0;
	if (!is_plain_user(w->user)) {
		str_printf(why, SECSH_WHY_TEXT, "user \"%s\" cannot be named in a ProxyCommand",
			   w->user);
		return ERR_INVAL;
	}
	return fill_in(w, command, &w->proxy, why);
}

/* ---- the whole ---- */

int secsh_where_find(struct secsh_where *w, const struct secsh_agent_opt *opt,
		     char why[SECSH_WHY_TEXT])
{
	const struct secsh_agent_where *said = &opt->where;
	int e;

	if ((e = secsh_config_read(&w->config, said, &opt->asks, why)) != 0)
		return e;
	if ((w->typed = str_dup(str_of(said->host))) == NULL)
		e = ERR_NOMEM;
	if (e == 0)
		e = check_typed(w, why);
	if (e == 0)
		e = find_host(w, said, why);
	if (e == 0)
		e = find_keys(w, why);
	if (e == 0)
		e = find_known(w, SECSH_O_KNOWN_HOSTS, "~/.ssh/known_hosts ~/.ssh/known_hosts2",
			       why);
	w->n_known_ours = w->n_known;
	if (e == 0)
		e = find_known(w, SECSH_O_GLOBAL_KNOWN_HOSTS,
			       "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2", why);
	if (e == 0)
		e = find_proxy(w, why);
	w->strict = find_strict(&w->config);
	w->has_gcm = e == 0 && secsh_gcm_is_sound();
	if (e == ERR_NOMEM)
		str_printf(why, SECSH_WHY_TEXT, "%s", err_text(e));
	return e;
}

void secsh_where_free(struct secsh_where *w)
{
	for (size_t i = 0; i < w->n_keys; i++)
		free(w->keys[i]);
	for (size_t i = 0; i < w->n_known; i++)
		free(w->known[i]);
	free(w->typed);
	free(w->host);
	free(w->user);
	free(w->alias);
	free(w->proxy);
	secsh_config_free(&w->config);
	*w = (struct secsh_where){0};
}

/* ---- libssh ---- */

/* Lists of algorithms, as they are called there. Both ways where there are two. */
static const struct {
	enum secsh_option o;
	const char *name;
	enum ssh_options_e set[2];
} lists[] = {
	{SECSH_O_CIPHERS, "Ciphers", {SSH_OPTIONS_CIPHERS_C_S, SSH_OPTIONS_CIPHERS_S_C}},
	{SECSH_O_MACS, "MACs", {SSH_OPTIONS_HMAC_C_S, SSH_OPTIONS_HMAC_S_C}},
	{SECSH_O_KEX, "KexAlgorithms", {SSH_OPTIONS_KEY_EXCHANGE, SSH_OPTIONS_KEY_EXCHANGE}},
	{SECSH_O_HOST_KEYS, "HostKeyAlgorithms", {SSH_OPTIONS_HOSTKEYS, SSH_OPTIONS_HOSTKEYS}},
	{SECSH_O_PUBKEYS,
	 "PubkeyAcceptedAlgorithms",
	 {SSH_OPTIONS_PUBLICKEY_ACCEPTED_TYPES, SSH_OPTIONS_PUBLICKEY_ACCEPTED_TYPES}},
};

/* What is offered where AES-GCM cannot be relied on. */
#define WITHOUT_GCM "chacha20-poly1305@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr"

static int apply_lists(const struct secsh_where *w, ssh_session ssh, char why[SECSH_WHY_TEXT])
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const char *list = w->config.values[lists[i].o];

		if (lists[i].o == SECSH_O_CIPHERS && !w->has_gcm) {
			if (list != NULL && strstr(list, "gcm") != NULL) {
				str_printf(why, SECSH_WHY_TEXT,
					   "Ciphers: this libssh does not check AES-GCM's tags");
				return ERR_INVAL;
			}
			list = list != NULL ? list : WITHOUT_GCM;
		}
		if (list == NULL)
			continue;
		if (ssh_options_set(ssh, lists[i].set[0], list) != 0 ||
		    ssh_options_set(ssh, lists[i].set[1], list) != 0) {
			str_printf(why, SECSH_WHY_TEXT, "%s: nothing in \"%s\" is known here",
				   lists[i].name, list);
			return ERR_INVAL;
		}
	}
	return 0;
}

/* RekeyLimit: bytes, then a time; either may be "default". */
static int apply_rekey(const struct secsh_where *w, ssh_session ssh, char why[SECSH_WHY_TEXT])
{
	struct str rest = str_of(w->config.values[SECSH_O_REKEY]), word;
	uint64_t bytes = 0, ms = 0;
	uint32_t s;
	int e = 0;

	if (secsh_config_word(&rest, &word) && !str_eq_nocase(word, STR("default")))
		e = num_parse_size(word, &bytes);
	if (e == 0 && secsh_config_word(&rest, &word) && !str_eq_nocase(word, STR("default")) &&
	    !str_eq_nocase(word, STR("none")))
		e = num_parse_duration(word, &ms);
	s = (uint32_t)(ms / 1000);
	if (e == 0 && ((bytes > 0 && ssh_options_set(ssh, SSH_OPTIONS_REKEY_DATA, &bytes) != 0) ||
		       (s > 0 && ssh_options_set(ssh, SSH_OPTIONS_REKEY_TIME, &s) != 0)))
		e = ERR_INVAL;
	if (e != 0)
		str_printf(why, SECSH_WHY_TEXT, "RekeyLimit: \"%s\" is not as \"1G 1h\"",
			   w->config.values[SECSH_O_REKEY]);
	return e == 0 ? 0 : ERR_INVAL;
}

/* libssh takes the part after the last ':' for a port, and fills in tokens a second time. */
static int apply_place(const struct secsh_where *w, ssh_session ssh, char why[SECSH_WHY_TEXT])
{
	char host[SECSH_LINE_MAX];
	struct buf b = {0};
	int port = w->port, e = 0;

	str_printf(host, sizeof host, strchr(w->host, ':') != NULL ? "[%s]" : "%s", w->host);
	if (ssh_options_set(ssh, SSH_OPTIONS_HOST, host) != 0) {
		str_printf(why, SECSH_WHY_TEXT, "\"%s\" is not the name of a host", w->host);
		return ERR_INVAL;
	}
	if (ssh_options_set(ssh, SSH_OPTIONS_USER, w->user) != 0 ||
	    ssh_options_set(ssh, SSH_OPTIONS_PORT, &port) != 0)
		return ERR_NOMEM;
	if (w->proxy == NULL)
		return 0;
	e = buf_add(&b, "exec ", 5, SECSH_LINE_MAX);
	for (const char *p = w->proxy; e == 0 && *p != '\0'; p++)
		e = buf_printf(&b, SECSH_LINE_MAX, *p == '%' ? "%%%%" : "%c", *p);
	if (e == 0)
		e = buf_add(&b, "", 1, SECSH_LINE_MAX);
	if (e == 0 && ssh_options_set(ssh, SSH_OPTIONS_PROXYCOMMAND, buf_str(&b).p) != 0)
		e = ERR_NOMEM;
	buf_free(&b);
	return e;
}

int secsh_where_apply(const struct secsh_where *w, ssh_session ssh, char why[SECSH_WHY_TEXT])
{
	const char *agent = w->config.values[SECSH_O_IDENTITY_AGENT];
	bool no = false;
	int e = 0;

	if (ssh_options_set(ssh, SSH_OPTIONS_PROCESS_CONFIG, &no) != 0)
		return ERR_NOMEM;
	if ((e = apply_place(w, ssh, why)) != 0 || (e = apply_lists(w, ssh, why)) != 0 ||
	    (e = apply_rekey(w, ssh, why)) != 0)
		return e;
	if (agent != NULL && strcmp(agent, "SSH_AUTH_SOCK") != 0 && strcmp(agent, "none") != 0 &&
	    ssh_options_set(ssh, SSH_OPTIONS_IDENTITY_AGENT, agent) != 0)
		return ERR_NOMEM;
	/* known hosts are our affair */
	if (ssh_options_set(ssh, SSH_OPTIONS_KNOWNHOSTS, "/dev/null") != 0 ||
	    ssh_options_set(ssh, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null") != 0)
		return ERR_NOMEM;
	return 0;
}
