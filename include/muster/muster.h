/* muster/muster.h - all of muster. */
#ifndef MUSTER_MUSTER_H
#define MUSTER_MUSTER_H

#include <muster/address.h>
#include <muster/block_list.h>
#include <muster/channel.h>
#include <muster/child.h>
#include <muster/cluster.h>
#include <muster/encoding.h>
#include <muster/error.h>
#include <muster/log.h>
#include <muster/loop.h>
#include <muster/server.h>
#include <muster/socket.h>
#include <muster/version.h>

#endif
