/// Read by hand once; any change of a cell is a change of behaviour. See ``TransitionTableTests``.
enum TransitionTable {
    static let expected = """
        stopped:
          spawned → .
          spawn-eagain → .
          spawn-enoent → .
          ready → .
          alive → .
          extend → .
          STOPPING → .
          exit 0 → .
          exit 78 → .
          crash → .
          empty → .
          timer → .
          early timer → .
          start → waiting
          stop → same, reply done
          restart → waiting
          changed → same, reply reloaded
          removed → gone, reply reloaded, forgotten
          shutdown → same, reply done
          urgent → same, reply done
          adopt → stopping, asked, then stay byOperator, signal
        waiting (not booted):
          spawned → .
          spawn-eagain → .
          spawn-enoent → .
          ready → .
          alive → .
          extend → .
          STOPPING → .
          exit 0 → .
          exit 78 → .
          crash → .
          empty → .
          timer → .
          early timer → .
          start → .
          stop → stopped byOperator, reply done
          restart → .
          changed → same, reply reloaded
          removed → gone, reply reloaded, forgotten
          shutdown → stopped shutdown, reply done
          urgent → stopped shutdown, reply done
          adopt → running
        starting, no pid:
          spawned → starting
          spawn-eagain → backoff, report exec-failed
          spawn-enoent → failed cannotExecute, report exec-failed
          ready → running
          alive → .
          extend → starting
          STOPPING → stopping, leaving, then judge
          exit 0 → clearing, then retry, report exit, kill
          exit 78 → clearing, then fail, report exit, kill
          crash → clearing, then retry, report signal, kill
          empty → starting
          timer → starting
          early timer → .
          start → .
          stop → stopping, no pid, then stay byOperator
          restart → stopping, no pid, then start
          changed → stopping, no pid, then start, reply reloaded
          removed → stopping, no pid, then stay removed, reply reloaded
          shutdown → stopping, no pid, then stay shutdown
          urgent → stopping, killing, then stay shutdown, kill
          adopt → same, kill the stranger
        starting:
          spawned → .
          spawn-eagain → .
          spawn-enoent → .
          ready → running
          alive → .
          extend → starting
          STOPPING → stopping, leaving, then judge
          exit 0 → clearing, then retry, report exit, kill
          exit 78 → clearing, then fail, report exit, kill
          crash → clearing, then retry, report signal, kill
          empty → starting
          timer → starting
          early timer → .
          start → .
          stop → stopping, asked, then stay byOperator, signal
          restart → stopping, asked, then start, signal
          changed → stopping, asked, then start, signal, reply reloaded
          removed → stopping, asked, then stay removed, signal, reply reloaded
          shutdown → stopping, asked, then stay shutdown, signal
          urgent → stopping, killing, then stay shutdown, signal, kill
          adopt → same, kill the stranger
        running:
          spawned → .
          spawn-eagain → .
          spawn-enoent → .
          ready → .
          alive → .
          extend → .
          STOPPING → stopping, leaving, then judge
          exit 0 → clearing, then retry, report exit, kill
          exit 78 → clearing, then fail, report exit, kill
          crash → clearing, then retry, report signal, kill
          empty → running
          timer → running
          early timer → .
          start → same, reply done
          stop → stopping, asked, then stay byOperator, signal
          restart → stopping, asked, then start, signal
          changed → running, due start, reply reloaded
          removed → running, due stay removed, reply reloaded
          shutdown → running, due stay shutdown
          urgent → stopping, killing, then stay shutdown, kill
          adopt → same, kill the stranger
        running, due:
          spawned → .
          spawn-eagain → .
          spawn-enoent → .
          ready → .
          alive → .
          extend → .
          STOPPING → stopping, leaving, then start
          exit 0 → clearing, then start, report exit, kill
          exit 78 → clearing, then start, report exit, kill
          crash → clearing, then start, report signal, kill
          empty → running, due start
          timer → running, due start
          early timer → .
          start → running, due start
          stop → stopping, asked, then stay byOperator, signal
          restart → running, due start
          changed → same, reply reloaded
          removed → running, due stay removed, reply reloaded
          shutdown → running, due stay shutdown
          urgent → stopping, killing, then stay shutdown, kill
          adopt → same, kill the stranger
        stopping, no pid:
          spawned → stopping, asked, then stay byOperator, signal
          spawn-eagain → stopped byOperator, report exec-failed
          spawn-enoent → stopped byOperator, report exec-failed
          ready → .
          alive → .
          extend → .
          STOPPING → .
          exit 0 → clearing, then stay byOperator, report operator, kill
          exit 78 → clearing, then stay byOperator, report operator, kill
          crash → clearing, then stay byOperator, report operator, kill
          empty → stopping, no pid, then stay byOperator
          timer → stopping, killing, then stay byOperator, kill
          early timer → .
          start → stopping, no pid, then start
          stop → .
          restart → stopping, no pid, then start
          changed → same, reply reloaded
          removed → stopping, no pid, then stay removed, reply reloaded
          shutdown → .
          urgent → stopping, killing, then stay byOperator, kill
          adopt → same, kill the stranger
        stopping, asked:
          spawned → .
          spawn-eagain → .
          spawn-enoent → .
          ready → .
          alive → .
          extend → stopping, asked, then stay byOperator
          STOPPING → .
          exit 0 → clearing, then stay byOperator, report operator, kill
          exit 78 → clearing, then stay byOperator, report operator, kill
          crash → clearing, then stay byOperator, report operator, kill
          empty → stopping, asked, then stay byOperator
          timer → stopping, killing, then stay byOperator, kill
          early timer → .
          start → stopping, asked, then start
          stop → .
          restart → stopping, asked, then start
          changed → same, reply reloaded
          removed → stopping, asked, then stay removed, reply reloaded
          shutdown → .
          urgent → stopping, killing, then stay byOperator, kill
          adopt → same, kill the stranger
        stopping, leaving:
          spawned → .
          spawn-eagain → .
          spawn-enoent → .
          ready → .
          alive → .
          extend → stopping, leaving, then judge
          STOPPING → .
          exit 0 → clearing, then retry, report exit, kill
          exit 78 → clearing, then fail, report exit, kill
          crash → clearing, then retry, report signal, kill
          empty → stopping, leaving, then judge
          timer → stopping, killing, then judge, kill
          early timer → .
          start → stopping, leaving, then start
          stop → stopping, leaving, then stay byOperator
          restart → stopping, leaving, then start
          changed → same, reply reloaded
          removed → stopping, leaving, then stay removed, reply reloaded
          shutdown → stopping, leaving, then stay shutdown
          urgent → stopping, killing, then stay shutdown, kill
          adopt → same, kill the stranger
        stopping, killing:
          spawned → .
          spawn-eagain → .
          spawn-enoent → .
          ready → .
          alive → .
          extend → .
          STOPPING → .
          exit 0 → clearing, then retry, report watchdog
          exit 78 → clearing, then fail, report watchdog
          crash → clearing, then retry, report watchdog
          empty → stopping, killing, then judge
          timer → stopping, killing, then judge, kill
          early timer → .
          start → stopping, killing, then start
          stop → stopping, killing, then stay byOperator
          restart → stopping, killing, then start
          changed → same, reply reloaded
          removed → stopping, killing, then stay removed, reply reloaded
          shutdown → stopping, killing, then stay shutdown
          urgent → stopping, killing, then stay shutdown
          adopt → same, kill the stranger
        clearing:
          spawned → .
          spawn-eagain → .
          spawn-enoent → .
          ready → .
          alive → .
          extend → .
          STOPPING → .
          exit 0 → .
          exit 78 → .
          crash → .
          empty → backoff
          timer → clearing, then retry, kill
          early timer → .
          start → clearing, then start
          stop → clearing, then stay byOperator
          restart → clearing, then start
          changed → clearing, then start, reply reloaded
          removed → clearing, then stay removed, reply reloaded
          shutdown → clearing, then stay shutdown
          urgent → clearing, then stay shutdown
          adopt → same, kill the stranger
        backoff:
          spawned → .
          spawn-eagain → .
          spawn-enoent → .
          ready → .
          alive → .
          extend → .
          STOPPING → .
          exit 0 → .
          exit 78 → .
          crash → .
          empty → .
          timer → starting, spawn
          early timer → .
          start → starting, spawn
          stop → stopped byOperator, reply done
          restart → starting, spawn
          changed → starting, reply reloaded, spawn
          removed → gone, reply reloaded, forgotten
          shutdown → stopped shutdown
          urgent → stopped shutdown
          adopt → running
        failed:
          spawned → .
          spawn-eagain → .
          spawn-enoent → .
          ready → .
          alive → .
          extend → .
          STOPPING → .
          exit 0 → .
          exit 78 → .
          crash → .
          empty → .
          timer → .
          early timer → .
          start → starting, spawn
          stop → stopped byOperator, reply done
          restart → starting, spawn
          changed → starting, reply reloaded, spawn
          removed → gone, reply reloaded, forgotten
          shutdown → same, reply done
          urgent → same, reply done
          adopt → running
        stuck:
          spawned → .
          spawn-eagain → .
          spawn-enoent → .
          ready → .
          alive → .
          extend → .
          STOPPING → .
          exit 0 → .
          exit 78 → .
          crash → .
          empty → stopped byOperator
          timer → .
          early timer → .
          start → same, reply refused survivors
          stop → clearing, then stay byOperator, kill
          restart → same, reply refused survivors
          changed → same, reply reloaded
          removed → stuck, then stay removed, reply reloaded
          shutdown → .
          urgent → .
          adopt → same, kill the stranger
        done:
          spawned → .
          spawn-eagain → .
          spawn-enoent → .
          ready → .
          alive → .
          extend → .
          STOPPING → .
          exit 0 → .
          exit 78 → .
          crash → .
          empty → .
          timer → .
          early timer → .
          start → starting, spawn
          stop → stopped byOperator, reply done
          restart → starting, spawn
          changed → starting, reply reloaded, spawn
          removed → gone, reply reloaded, forgotten
          shutdown → .
          urgent → .
          adopt → running
        """
}
