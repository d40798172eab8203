/* Questions to whoever sits at the terminal, whatever standard input is. */
#ifndef KAREZ_APP_TTY_ASK_H
#define KAREZ_APP_TTY_ASK_H

#include "base/str.h"

/*
 * Ask, and wait for the answer; a signal that is caught breaks it off, and so does Ctrl-C, which is
 * no signal here.
 *   prompt  NUL-terminated; lines of any bytes, shown with control characters made visible.
 *   echo    show what is typed.
 *   out     [cap] gets the line without its end, NUL-terminated; may be empty.
 * Returns 0, ERR_CLOSED (Ctrl-C), or ERR_DENIED: there is no terminal, the line does not fit, or
 * there was no answer.
 */
int tty_ask(const char *prompt, bool echo, char *out, size_t cap) MUST_CHECK;

#endif
