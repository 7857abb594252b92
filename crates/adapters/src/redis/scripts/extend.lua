-- Moves the end of the block of an epoch. An end that is not higher changes nothing.
--
-- Keys:      1: the room.
-- Arguments: 1: the epoch, 2: the block's new end.
-- Answer:    1, or 0 if the room is not open in this epoch and this run of the server.
-- Cost:      O(1), and two INFO.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local line = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
local room = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'line', 'end')
if room[1] ~= ARGV[1] or room[2] ~= run or room[3] ~= line then
  return 0
end
if tonumber(room[4]) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'end', ARGV[2])
end
return 1
