-- Returns a place for each entrant, in this order: the one that the user already has, else the next of the block.
--
-- Keys:      1: the room. Then for each entrant the bucket of the user.
-- Arguments: 1: the epoch, 2: the last place that the caller knows to be handed out in it, 3: if keys may be evicted,
--            the fraction of maxmemory above which no new place is handed out, else empty. Then for each entrant: the
--            user, the token's time and id (24 bytes, as they are stored), and the place that may be replaced, or empty.
-- Answer:    {last place handed out, block end, why new places are refused (or empty)}, then for each entrant: a number
--            (a new place), 32 bytes (the place the user had, with its token), or empty (the block is used up, or new
--            places are refused). -1 if the room is not open in this epoch and this run of the server, or lost places.
-- Cost:      O(1) per entrant (a bucket has some tens of users), and two INFO per call. The run id changes when the server
--            restarts. The replication id changes when a replica becomes a primary, with the data that it has.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local line = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
local room = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'line', 'issued', 'end')
if room[1] ~= ARGV[1] or room[2] ~= run or room[3] ~= line or tonumber(room[4]) < tonumber(ARGV[2]) then
  return -1
end
-- "issued" is the last place handed out.
local issued, block_end, refused = tonumber(room[4]), tonumber(room[5]), ''
if ARGV[3] ~= '' then
  local memory = redis.call('INFO', 'memory')
  local used, max = string.match(memory, 'used_memory:(%d+)'), string.match(memory, 'maxmemory:(%d+)')
  if tonumber(max) > 0 and tonumber(used) > tonumber(max) * tonumber(ARGV[3]) then
    refused = 'Redis is nearly full and its maxmemory-policy evicts keys'
  end
end
-- Decide first, then write: the counter before the users. If a later command of this script fails, numbers are skipped,
-- but none is handed out twice.
local answer, fresh, numbers = {}, {}, {}
for number = 2, #KEYS do
  local at = 3 * number - 2
  local user, token, replacing = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local had = fresh[user] or redis.call('HGET', KEYS[number], user)
  if had and replacing ~= '' and struct.unpack('>l', had) == tonumber(replacing) then
    had = false
  end
  if had then
    answer[number - 1] = had
  elseif refused == '' and issued < block_end then
    issued = issued + 1
    fresh[user] = struct.pack('>l', issued) .. token
    numbers[number] = issued
    answer[number - 1] = issued
  else
    answer[number - 1] = ''
  end
end
if next(numbers) then
  local written = redis.pcall('HSET', KEYS[1], 'issued', string.format('%.0f', issued))
  if type(written) == 'table' and written.err then
    -- Nothing was written: no memory, or writes are refused. Users who already have a place still get it.
    refused, issued = written.err, tonumber(room[4])
    for number = 2, #KEYS do
      local at = 3 * number - 2
      local had = redis.call('HGET', KEYS[number], ARGV[at])
      if had and ARGV[at + 2] ~= '' and struct.unpack('>l', had) == tonumber(ARGV[at + 2]) then
        had = false
      end
      answer[number - 1] = had or ''
    end
  else
    for number, place in pairs(numbers) do
      local at = 3 * number - 2
      redis.call('HSET', KEYS[number], ARGV[at], struct.pack('>l', place) .. ARGV[at + 1])
    end
  end
end
return {issued, block_end, refused, unpack(answer)}
