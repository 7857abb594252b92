-- Removes a user whose place was given up, if the user still has this place.
--
-- Keys:      1: the user's bucket.
-- Arguments: 1: the user, 2: the place.
-- Answer:    1 if the user was removed, else 0.
-- Cost:      O(1).
local had = redis.call('HGET', KEYS[1], ARGV[1])
if had and struct.unpack('>l', had) == tonumber(ARGV[2]) then
  return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0
