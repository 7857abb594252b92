-- How a room stands.
--
-- Keys:      1: the room.
-- Arguments: 1: `1` if the room is about to be opened: fails if writes are refused.
-- Answer:    {this life of the server, epoch (0 if the room was opened for another life of the data), issued, block end,
--            places after this one and up to this one may be missing among the users, the epoch of whatever life, places
--            after this one and up to the second of those missing were perhaps never handed out}.
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
