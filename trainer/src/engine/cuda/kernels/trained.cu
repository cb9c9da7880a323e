// Where trained numbers lie, tensor after tensor.

// Of a layer: weights [in, out], what stands beside them, biases [out].
constexpr int extra_of(int layer)
{
    return PARAMETERIZATION == PLAIN ? 0 : PARAMETERIZATION == SLOPE_PER_LAYER ? 1 : outputs_of(layer);
}

constexpr int trained_at(int layer)
{
    int at = 0;
    for (int l = 0; l < layer; ++l)
        at += inputs_of(l) * outputs_of(l) + extra_of(l) + outputs_of(l);
    return at;
}

// Neurons of all layers before this one.
constexpr int neurons_before(int layer)
{
    int at = 0;
    for (int l = 0; l < layer; ++l)
        at += outputs_of(l);
    return at;
}

constexpr int TRAINED = trained_at(LAYERS);
static_assert(TRAINED == HOST_TRAINED && DENSE == HOST_DENSE, "host and kernels agree on sizes");

// Factor on weights and biases of a layer.
inline float gain_of(int layer)
{
    constexpr float gains[LAYERS] = {GAINS};
    return gains[layer];
}
