// What a crash leaves on standard error: one line, written by the dying process itself.
#pragma once

/// Installs handlers for SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE and SIGSEGV, on a stack of their own, that write
///
///     crash: SIGILL at 0x7f…, frames: 0x1a2b 0x23456 0x7f…?
///
/// and let the signal take its course. Frames are found by frame pointers, the innermost first, at most 32; those inside
/// the executable are offsets from its start (what `addr2line -e` and `llvm-symbolizer` take of a position-independent
/// executable), all others are absolute and marked with `?`. Costs nothing until then; nothing here allocates or locks.
/// Call it on the thread whose stack is to be walked. 0, or -1 with errno set.
int qp_report_crashes(void);
