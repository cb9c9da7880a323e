// From coordinates to what goes into the first layer.

// Sample that point `at` of a batch is.
inline int sample(const int* indices, int at) { return indices ? indices[at] : at; }

// Features [padded, TILE] of the points from `first`; points beyond `points` are at the origin. `room` has
// [INPUTS, TILE] numbers.
inline void features(const float* x, const int* indices, int first, int points, const float* frequencies, float* room,
                     float* out)
{
    for (int i = threadIdx.x; i < INPUTS * TILE; i += THREADS) {
        const int p = i % TILE;
        room[i] = first + p < points ? x[(size_t)sample(indices, first + p) * INPUTS + i / TILE] : 0.0f;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < RAW * TILE; i += THREADS)
        out[i] = room[i];
    // Frequencies [INPUTS, FREQUENCIES] and phases [FREQUENCIES], in turns.
    for (int i = threadIdx.x; i < FREQUENCIES * TILE; i += THREADS) {
        const int f = i / TILE, p = i % TILE;
        float turns = frequencies[INPUTS * FREQUENCIES + f];
        for (int c = 0; c < INPUTS; ++c)
            turns = fmaf(room[c * TILE + p], frequencies[c * FREQUENCIES + f], turns);
        float sine, cosine;
        sincospif(2.0f * turns, &sine, &cosine);
        out[(RAW + f) * TILE + p] = sine;
        out[(RAW + FREQUENCIES + f) * TILE + p] = cosine;
    }
    for (int i = FEATURES * TILE + threadIdx.x; i < padded(FEATURES) * TILE; i += THREADS)
        out[i] = 0.0f;
    __syncthreads();
}
