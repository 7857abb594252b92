-- Deletes a part of a room that is over.
--
-- Keys:      1: the room. Then buckets of its users.
-- Arguments: 1: the epoch, 2: the last place handed out, 3: `1` to delete the room itself too.
-- Answer:    1, or 0 if the room does not exist, was opened in another epoch, or has handed out more places.
-- Cost:      O(keys); the memory is freed in the background.
local room = redis.call('HMGET', KEYS[1], 'epoch', 'issued')
if room[1] ~= ARGV[1] or tonumber(room[2]) > tonumber(ARGV[2]) then
  return 0
end
if #KEYS > 1 then
  redis.call('UNLINK', unpack(KEYS, 2))
end
if ARGV[3] == '1' then
  redis.call('UNLINK', KEYS[1])
end
return 1
