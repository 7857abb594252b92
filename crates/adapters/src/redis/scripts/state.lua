-- How a room stands.
--
-- Keys:      1: the room.
-- Answer:    {this life of the server, epoch (0 where the room was opened for another life), issued, block end, places
--            after this one and up to this one may be missing among the users}.
-- Cost:      O(1), and one INFO.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local room = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'issued', 'end', 'missing_after', 'missing_to')
local epoch = room[2] == run and room[1] or '0'
return {run, epoch, room[3] or '0', room[4] or '0', room[5] or '0', room[6] or '0'}
