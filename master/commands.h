/* master/commands.h - what the control socket understands. */
#ifndef MASTER_COMMANDS_H
#define MASTER_COMMANDS_H

#include "master/session.h"

extern const struct muster__session_ops muster__commands;

#endif
