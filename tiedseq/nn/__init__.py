"""Networks whose weights are tied: convolution, recurrence and the symmetries of DNA.

A layer has its forward and its exact backward, and a network is a short list of layers. There is no automatic
differentiation and no GPU.
"""

from .activations import Dropout as Dropout
from .activations import ReLU as ReLU
from .activations import Sigmoid as Sigmoid
from .activations import Tanh as Tanh
from .classifier import Classifier as Classifier
from .convolution import Conv1D as Conv1D
from .dense import Dense as Dense
from .dense import Flatten as Flatten
from .dense import OneHot as OneHot
from .depth import Repeat as Repeat
from .depth import Residual as Residual
from .emissions import Emissions as Emissions
from .graph import MultiHop as MultiHop
from .labeller import Labeller as Labeller
from .landscape import hessian_of as hessian_of
from .landscape import projected_gradient as projected_gradient
from .landscape import projected_hessian as projected_hessian
from .landscape import tied_subspace as tied_subspace
from .layer import Layer as Layer
from .local import LocallyConnected1D as LocallyConnected1D
from .motifs import motifs as motifs
from .motifs import write_motifs as write_motifs
from .network import Sequential as Sequential
from .options import Epoch as Epoch
from .pooling import GlobalMaxPool as GlobalMaxPool
from .pooling import GlobalMeanPool as GlobalMeanPool
from .pooling import MaxPool as MaxPool
from .pooling import MeanPool as MeanPool
from .pytorch import from_state_dict as from_state_dict
from .pytorch import to_state_dict as to_state_dict
from .recurrent import GRU as GRU
from .recurrent import LSTM as LSTM
from .recurrent import RNN as RNN
from .regressor import Regressor as Regressor
from .siamese import Siamese as Siamese
from .signal import Action as Action
from .signal import Batch as Batch
from .signal import Signal as Signal
from .unet import UNet1D as UNet1D
from .unrolled import UnrolledRNN as UnrolledRNN
