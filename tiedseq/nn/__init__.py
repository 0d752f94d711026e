"""Networks whose weights are tied: convolution, recurrence and the symmetries of DNA.

A layer has its forward and its exact backward, and a network is a short list of layers. There is no automatic
differentiation and no GPU.
"""

from .activations import Dropout as Dropout
from .activations import ReLU as ReLU
from .activations import Sigmoid as Sigmoid
from .activations import Tanh as Tanh
from .convolution import Conv1D as Conv1D
from .dense import Dense as Dense
from .dense import Flatten as Flatten
from .dense import OneHot as OneHot
from .layer import Layer as Layer
from .network import Sequential as Sequential
from .pooling import GlobalMaxPool as GlobalMaxPool
from .pooling import GlobalMeanPool as GlobalMeanPool
from .pooling import MaxPool as MaxPool
from .pooling import MeanPool as MeanPool
from .recurrent import GRU as GRU
from .recurrent import LSTM as LSTM
from .recurrent import RNN as RNN
from .signal import Action as Action
from .signal import Batch as Batch
from .signal import Signal as Signal
from .unrolled import UnrolledRNN as UnrolledRNN
