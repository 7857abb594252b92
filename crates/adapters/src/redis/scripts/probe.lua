-- Tries every command that entries need. Leaves nothing behind.
--
-- Keys:      1: a key that never exists.
-- Answer:    for each fault two elements: the command that failed, and the server's message.
-- Cost:      O(1), and two INFO.
local faults = {}
local function try(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then
    faults[#faults + 1] = select(1, ...)
    faults[#faults + 1] = answer.err
    return nil
  end
  return answer
end
local server, replication = try('INFO', 'server'), try('INFO', 'replication')
if server and not string.match(server, 'run_id:(%x+)') then
  faults[#faults + 1] = 'INFO'
  faults[#faults + 1] = 'NOPERM the section server shows no run_id'
end
if replication and not string.match(replication, 'master_replid:(%x+)') then
  faults[#faults + 1] = 'INFO'
  faults[#faults + 1] = 'NOPERM the section replication shows no master_replid'
end
if replication and string.match(replication, 'role:slave') then
  faults[#faults + 1] = 'HSET'
  faults[#faults + 1] = 'READONLY this server is a replica'
end
try('HMGET', KEYS[1], 'epoch')
try('HGET', KEYS[1], 'epoch')
try('UNLINK', KEYS[1])
try('HDEL', KEYS[1], 'epoch')
local function may(command)
  local allowed, answer = pcall(redis.acl_check_cmd, command, KEYS[1], 'epoch', '0')
  return allowed and answer
end
-- LPUSHX on a list that does not exist is refused like every write that needs memory, and writes nothing: neither to
-- replicas nor to the append-only file. Before Redis 7, or without the right to LPUSHX, HSET is tried instead.
if redis.acl_check_cmd and may('LPUSHX') and may('HSET') then
  try('LPUSHX', KEYS[1], '0')
elseif try('HSET', KEYS[1], 'epoch', '0') then
  try('HDEL', KEYS[1], 'epoch')
end
return faults
