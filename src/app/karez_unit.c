/*
 * What is locked away here is what an agent does not need, whatever its services are: it connects
 * to sockets, reads files, and writes in one folder.
 */
#include "app/karez_unit.h"

#include <string.h>

#include "base/err.h"
#include "base/show.h"

/* The first line, by which a unit is known as ours. */
#define KAREZ_UNIT_MARK "# Written by karez service install, which writes it anew; see karez(1).\n"

/* These need no quotes. */
#define KAREZ_UNIT_PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-=:@+,"

static const char karez_unit_restart[] =
	"Restart=on-failure\n"
	"RestartSec=10\n"
	"# the services file or an option is wrong: trying again would not help\n"
	"RestartPreventExitStatus=2\n"
	"WatchdogSec=30\n"
	"UMask=0077\n";

/* What a user's own manager can do without privileges: by system call filters only. */
static const char karez_unit_locks[] =
	"NoNewPrivileges=yes\n"
	"LockPersonality=yes\n"
	"MemoryDenyWriteExecute=yes\n"
	"RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK\n"
	"RestrictNamespaces=yes\n"
	"RestrictRealtime=yes\n"
	"RestrictSUIDSGID=yes\n"
	"SystemCallArchitectures=native\n"
	"SystemCallErrorNumber=EPERM\n"
	"SystemCallFilter=@system-service\n"
	"SystemCallFilter=~@privileged\n";

static const char karez_unit_system_locks[] = "CapabilityBoundingSet=\n"
					      "PrivateDevices=yes\n"
					      "ProcSubset=pid\n"
					      "ProtectClock=yes\n"
					      "ProtectControlGroups=yes\n"
					      "ProtectHome=read-only\n"
					      "ProtectHostname=yes\n"
					      "ProtectKernelLogs=yes\n"
					      "ProtectKernelModules=yes\n"
					      "ProtectKernelTunables=yes\n"
					      "ProtectProc=invisible\n"
					      "ProtectSystem=strict\n";

/* ---- words ---- */

static bool karez_unit_holds(struct str rest)
{
	while (rest.len > 0) {
		uint32_t c = 0;
		size_t n = show_decode(rest, &c);

		if (n == 0 || c < ' ' || (c >= 0x7f && c < 0xa0))
			return false;
		rest.p += n;
		rest.len -= n;
	}
	return true;
}

static int karez_unit_add_char(struct buf *b, enum karez_unit_word what, char c)
{
	char both[2] = {c, c};

	if (c == '"' || c == '\\')
		both[0] = '\\';
	else if (c != '%' && (c != '$' || what != KAREZ_UNIT_WORD))
		return buf_add(b, &c, 1, KAREZ_UNIT_MAX);
	return buf_add(b, both, 2, KAREZ_UNIT_MAX);
}

int karez_unit_add_word(struct buf *b, enum karez_unit_word what, const char *word)
{
	const char *quote =
		word[0] != '\0' && word[strspn(word, KAREZ_UNIT_PLAIN)] == '\0' ? "" : "\"";
	int e = karez_unit_holds(str_of(word)) ? 0 : ERR_INVAL;

	if (e == 0)
		e = buf_printf(b, KAREZ_UNIT_MAX, "%s", quote);
	for (size_t i = 0; word[i] != '\0' && e == 0; i++)
		e = karez_unit_add_char(b, what, word[i]);
	if (e == 0)
		e = buf_printf(b, KAREZ_UNIT_MAX, "%s", quote);
	return e;
}

/* ---- the unit ---- */

static int karez_unit_add(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text), KAREZ_UNIT_MAX);
}

static int karez_unit_write_head(const struct karez_unit *u, struct buf *b)
{
	return buf_printf(b, KAREZ_UNIT_MAX,
			  "%s\n"
			  "[Unit]\n"
			  "Description=karez: services made public through a karezd server\n"
			  "Documentation=man:karez(1)\n"
			  "%s"
			  "StartLimitIntervalSec=0\n"
			  "\n",
			  KAREZ_UNIT_MARK,
			  u->user ? ""
				  : "Wants=network-online.target\n"
				    "After=network-online.target\n");
}

static int karez_unit_write_command(const struct karez_unit *u, struct buf *b)
{
	int e = karez_unit_add(b, "[Service]\nType=notify\nExecStart=");

	if (e == 0)
		e = karez_unit_add_word(b, KAREZ_UNIT_PROGRAM, u->program);
	for (size_t i = 0; i < u->n_words && e == 0; i++)
		if ((e = karez_unit_add(b, " \\\n\t")) == 0)
			e = karez_unit_add_word(b, KAREZ_UNIT_WORD, u->words[i]);
	if (e == 0)
		e = karez_unit_add(b, "\nExecReload=/bin/kill -HUP $MAINPID\n");
	return e;
}

static int karez_unit_write_locks(const struct karez_unit *u, struct buf *b)
{
	int e = karez_unit_add(b, karez_unit_locks);

	if (e != 0 || u->user)
		return e;
	if ((e = karez_unit_add(b, karez_unit_system_locks)) == 0)
		e = karez_unit_add(b, u->tmp ? "PrivateTmp=no\n" : "PrivateTmp=yes\n");
	if (e == 0)
		e = karez_unit_add(b, "ReadWritePaths=");
	if (e == 0)
		e = karez_unit_add_word(b, KAREZ_UNIT_PATH, u->dir);
	return e != 0 ? e : karez_unit_add(b, "\n");
}

int karez_unit_write(const struct karez_unit *u, struct buf *b)
{
	int e = karez_unit_write_head(u, b);

	if (e == 0)
		e = karez_unit_write_command(u, b);
	if (e == 0)
		e = karez_unit_add(b, karez_unit_restart);
	if (e == 0)
		e = karez_unit_write_locks(u, b);
	if (e == 0)
		e = buf_printf(b, KAREZ_UNIT_MAX, "\n[Install]\nWantedBy=%s\n",
			       u->user ? "default.target" : "multi-user.target");
	return e;
}

bool karez_unit_is_ours(struct str unit)
{
	return str_starts(unit, STR("# Written by karez service install"));
}
