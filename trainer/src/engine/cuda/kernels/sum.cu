// Sums over a block in an order that never changes.

// The sum of one number a thread, for all of them; `room` has THREADS numbers.
inline double block_sum(double value, double* room)
{
    room[threadIdx.x] = value;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            room[threadIdx.x] += room[threadIdx.x + half];
        __syncthreads();
    }
    const double sum = room[0];
    __syncthreads();
    return sum;
}
