-- Returns the state of a room.
--
-- Keys:      1: the room.
-- Arguments: 1: `1` if the room is about to be opened: then fails if the server refuses writes.
-- Answer:    {1: the run id of the server, 2: the epoch (0 if the room was opened for another run), 3: the last place handed
--            out, 4: the block's end, 5 and 6: places after 5 and up to 6 may be missing among the users, 7: the epoch of
--            any run, 8: places after 8 and up to 6 were perhaps never handed out}.
-- Cost:      O(1), and two INFO.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local replication = redis.call('INFO', 'replication')
if string.match(replication, 'role:slave') then
  return redis.error_reply('READONLY this server is a replica')
end
local line = string.match(replication, 'master_replid:(%x+)') or ''
if ARGV[1] == '1' then
  redis.call('HSET', KEYS[1], 'prepared', '1')
end
local room = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'line', 'issued', 'end', 'missing_after', 'missing_to',
  'passed_after')
local epoch = room[2] == run and room[3] == line and room[1] or '0'
return {run, epoch, room[4] or '0', room[5] or '0', room[6] or '0', room[7] or '0', room[1] or '0', room[8] or '0'}
