-- Opens a room in an epoch that the database has opened for this run of the server. The users stay: a place belongs to its
-- user in every epoch. Places that were handed out in epochs that this data does not know may be missing among them.
--
-- Keys:      1: the room.
-- Arguments: 1: the epoch, 2: the run id, 3: the last place handed out or skipped, 4: the block's end.
-- Answer:    1, or 0 if the server has another run id, or the room was already opened in this epoch or a later one.
-- Cost:      O(1), and two INFO.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local line = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
local room = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'issued', 'missing_after', 'missing_to')
local epoch = tonumber(room[1] or '0')
if run ~= ARGV[2] or tonumber(ARGV[1]) < epoch or (tonumber(ARGV[1]) == epoch and room[2] == run) then
  return 0
end
local after = tonumber(room[3] or '0')
if room[5] and tonumber(room[4]) < after then
  after = tonumber(room[4])
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'run', run, 'line', line, 'issued', ARGV[3], 'end', ARGV[4],
  'missing_after', string.format('%.0f', after), 'missing_to', ARGV[3], 'passed_after', room[3] or '0')
return 1
