-- Adds users again whose tokens were shown, because the data lost them.
--
-- Keys:      for each user, their bucket.
-- Arguments: for each user: the user, the place with its token (32 bytes, as they are stored), and the place that this one
--            may replace, or empty.
-- Answer:    for each user, the 32 bytes that are stored now.
-- Cost:      O(1) each.
local answer = {}
for number = 1, #KEYS do
  local at = 3 * number - 2
  local user, place, replacing = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local had = redis.call('HGET', KEYS[number], user)
  if not had or (replacing ~= '' and struct.unpack('>l', had) == tonumber(replacing)) then
    redis.call('HSET', KEYS[number], user, place)
    had = place
  end
  answer[number] = had
end
return answer
